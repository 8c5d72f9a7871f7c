import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { temporaryControlPlane } from "../../../../test/fakes/temporary-control-plane.ts";
import { storeOf } from "../../../../test/fakes/test-store.ts";
import type { OrbSource } from "../../../config/orb-source.ts";
import { systemClock } from "../../../lib/clock.ts";
import { newToken } from "../../auth/tokens.ts";
import { openStore } from "../../store/store.ts";

const day = 24 * 60 * 60_000;
const orbOf = (words: string) => `commands:\n  greet:\n    steps: [{run: echo ${words}}]\n`;
const publishing = `mutation($config: String!, $orbName: String, $namespaceName: String, $version: String!) {
  publishOrb(orbName: $orbName, namespaceName: $namespaceName, orbYaml: $config, version: $version) { orb { version } errors { message } }
}`;

async function registry(options: { orbs?: OrbSource } = {}) {
  let nowMs = 1_700_000_000_000;
  const directory = await mkdtemp(join(tmpdir(), "orb-registry-"));
  const file = join(directory, "admin-token");
  const clock = { ...systemClock, now: () => nowMs };
  const plane = await temporaryControlPlane({ clock, adminTokenFile: file, ...options });
  const token = (await readFile(file, "utf8")).trim();
  const ask = async (query: string, variables: Record<string, unknown> = {}, as = token) =>
    await plane.agent.call("POST", "/graphql-unstable", { token: as, json: { query, variables } });
  const publish = async (reference: string, config: string) => {
    const [, namespaceName, orbName, version] = /^(.*)\/(.*?)@(.*)$/.exec(reference) ?? [];
    const { json } = await ask(publishing, { namespaceName, orbName, version, config });
    const { data } = json as { data: { publishOrb: { errors: { message: string }[] } } };
    return data.publishOrb.errors.map(({ message }) => message);
  };
  const resolve = async (reference: string) => {
    const { json } = await ask(`{ orbVersion(orbVersionRef: ${JSON.stringify(reference)}) { version source } }`);
    return (json as { data: { orbVersion: { version: string; source: string } | null } }).data.orbVersion;
  };
  return {
    plane,
    ask,
    publish,
    resolve,
    pass: (ms: number) => (nowMs += ms),
    [Symbol.asyncDispose]: async () => {
      await plane[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

/** Texts that the store of a control plane's folder holds. */
async function textsOf(directory: string): Promise<string[]> {
  const data = join(directory, "data");
  const where = { directory: data, ...(await storeOf(data)) };
  const store = await openStore({ ...where, clock: systemClock, onCommit: () => undefined });
  const rows = await store.db.selectFrom("orb_text").select("text").execute();
  await store.close();
  return rows.map(({ text }) => text);
}

describe("publishing", () => {
  test("a release is there to be resolved as CircleCI does, and never changes", async () => {
    await using orbs = await registry();
    for (const version of ["1.2.9", "1.2.10", "1.3.0", "2.0.0", "dev:x"])
      expect(await orbs.publish(`acme/tools@${version}`, orbOf(version))).toEqual([]);

    const again = await orbs.publish("acme/tools@1.3.0", orbOf("other"));

    expect(again).toEqual([
      "acme/tools@1.3.0 is published already, and what is published never changes. The newest version is 2.0.0; the next one could be 2.0.1",
    ]);
    const resolved = async (version: string) => (await orbs.resolve(`acme/tools@${version}`))?.version;
    expect(await resolved("1.2.9")).toBe("1.2.9");
    expect(await resolved("1.2")).toBe("1.2.10");
    expect(await resolved("1")).toBe("1.3.0");
    expect(await resolved("volatile")).toBe("2.0.0");
    expect(await resolved("dev:x")).toBe("dev:x");
    expect(await resolved("3")).toBeUndefined();
    expect((await orbs.resolve("acme/tools@1.3"))?.source).toBe(orbOf("1.3.0"));
  });

  test("one of two that publish the same version at once has published it", async () => {
    await using orbs = await registry();

    const answers = await Promise.all(["a", "b", "c"].map((words) => orbs.publish("acme/tools@1.0.0", orbOf(words))));

    expect(answers.filter((errors) => errors.length === 0)).toHaveLength(1);
  });

  test("a label is replaced, counts from its last publication, and is gone after 90 days with its text", async () => {
    await using orbs = await registry();
    await orbs.publish("acme/tools@dev:x", orbOf("first"));
    orbs.pass(80 * day);
    await orbs.publish("acme/tools@dev:x", orbOf("second"));

    orbs.pass(80 * day);
    const kept = await orbs.resolve("acme/tools@dev:x");
    orbs.pass(10 * day);
    const expired = await orbs.resolve("acme/tools@dev:x");
    await orbs.publish("acme/other@1.0.0", orbOf("other"));

    expect(kept?.source).toBe(orbOf("second"));
    expect(expired).toBeNull();
    expect(await textsOf(orbs.plane.directory)).toEqual([orbOf("other")]);
  });

  test("versions with the same text keep it once", async () => {
    await using orbs = await registry();
    await orbs.publish("acme/tools@1.0.0", orbOf("same"));
    await orbs.publish("acme/tools@1.0.1", orbOf("same"));

    expect(await textsOf(orbs.plane.directory)).toEqual([orbOf("same")]);
    expect((await orbs.resolve("acme/tools@1.0.1"))?.source).toBe(orbOf("same"));
  });

  test("an orb may import what is published here, or known elsewhere, and nothing else", async () => {
    const orbs: OrbSource = {
      find: async (reference) =>
        await Promise.resolve(
          reference.kind === "registry" && reference.namespace === "far"
            ? { found: true, resolved: "far/away@1.0.0", text: orbOf("far") }
            : { found: false, reason: "no-such-orb" },
        ),
    };
    await using here = await registry({ orbs });
    await here.publish("acme/base@1.0.0", orbOf("base"));
    const importing = (reference: string) =>
      `orbs: {other: ${reference}}\ncommands:\n  both:\n    steps: [other/greet]\n`;

    expect(await here.publish("acme/a@1.0.0", importing("acme/base@1"))).toEqual([]);
    expect(await here.publish("acme/b@1.0.0", importing("far/away@1"))).toEqual([]);
    expect(await here.publish("acme/c@1.0.0", importing("acme/nothing@1"))).toEqual([
      expect.stringContaining("orb.yml:1:15 error unknown-orb\nCannot find the orb acme/nothing@1"),
    ]);
    expect(await here.resolve("acme/c@1.0.0")).toBeNull();
  });

  test.each([
    ["acme/tools@1.0", "is no version to publish"],
    ["acme/tools@01.0.0", "is no version to publish"],
    ["acme/tools@volatile", "is no version to publish"],
    ["acme/tools@dev:", "is no version to publish"],
    ["Acme/tools@1.0.0", '"Acme" is no name'],
    ["acme/../tools@1.0.0", "is no name"],
  ])("%s is refused: %s", async (reference, words) => {
    await using orbs = await registry();

    expect(await orbs.publish(reference, orbOf("x"))).toEqual([expect.stringContaining(words)]);
  });

  test("an orb that is not valid is refused, with every error and its place", async () => {
    await using orbs = await registry();

    const errors = await orbs.publish("acme/tools@1.0.0", orbOf("x").replace("run:", "rn:").replace("greet", "1greet"));

    expect(errors).toEqual([expect.stringMatching(/^orb\.yml:3:\d+ error unknown-command\n/)]);
  });
});

describe("asking", () => {
  test("orbs are listed page by page, in order, of all or of one namespace", async () => {
    await using orbs = await registry();
    for (const name of ["b/one", "a/two", "a/one", "a-b/one"]) await orbs.publish(`${name}@1.0.0`, orbOf(name));
    await orbs.publish("a/one@1.1.0", orbOf("newer"));
    const page = "totalCount edges { cursor node { name versions(count: 1) { version } } } pageInfo { hasNextPage }";

    const first = await orbs.ask(`{ orbs(first: 2, after: "", certifiedOnly: false) { ${page} } }`);
    const second = await orbs.ask(`{ orbs(first: 2, after: "a/one") { ${page} } }`);
    const inNamespace = await orbs.ask(`{ registryNamespace(name: "a") { name orbs(first: 1) { ${page} } } }`);

    expect(first.json).toMatchObject({
      data: {
        orbs: { totalCount: 4, edges: [{ cursor: "a/one" }, { cursor: "a/two" }], pageInfo: { hasNextPage: true } },
      },
    });
    expect(second.json).toMatchObject({ data: { orbs: { edges: [{ cursor: "a/two" }, { cursor: "a-b/one" }] } } });
    expect(inNamespace.json).toMatchObject({
      data: {
        registryNamespace: {
          name: "a",
          orbs: { totalCount: 2, edges: [{ node: { name: "a/one", versions: [{ version: "1.1.0" }] } }] },
        },
      },
    });
    expect((await orbs.ask('{ registryNamespace(name: "c") { name } orb(name: "c/d") { name } }')).json).toEqual({
      data: { registryNamespace: null, orb: null },
    });
  });

  test("what CircleCI's own command line asks for is there", async () => {
    await using orbs = await registry();
    await orbs.publish("acme/tools@1.0.0", orbOf("x"));
    orbs.pass(1000);
    await orbs.publish("acme/tools@1.1.0", orbOf("y"));
    const statistics = "statistics { last30DaysBuildCount, last30DaysProjectCount, last30DaysOrganizationCount }";
    const info = `query($orbVersionRef: String!) { orbVersion(orbVersionRef: $orbVersionRef) {
      id version orb { id createdAt name namespace { name } categories { id name } ${statistics} versions(count: 200) { createdAt version } }
      source createdAt } }`;
    const list = `query ListOrbs ($after: String!, $certifiedOnly: Boolean!) { orbs(first: 20, after: $after, certifiedOnly: $certifiedOnly) {
      totalCount, edges { cursor node { name ${statistics} versions(count: 1) { version, source } } } pageInfo { hasNextPage } } }`;
    const exists = `query ($name: String!, $namespace: String) { orb(name: $name) { id isPrivate } registryNamespace(name: $namespace) { id } }`;

    const answers = await Promise.all([
      orbs.ask(info, { orbVersionRef: "acme/tools@1" }),
      orbs.ask(list, { after: "", certifiedOnly: false }),
      orbs.ask(exists, { name: "acme/tools", namespace: "acme" }),
    ]);

    expect(answers.map(({ status, json }) => ({ status, json }))).toMatchObject([
      {
        status: 200,
        json: {
          data: {
            orbVersion: {
              version: "1.1.0",
              orb: { name: "acme/tools", createdAt: "2023-11-14T22:13:20.000Z", versions: [{}, { version: "1.0.0" }] },
              source: orbOf("y"),
              createdAt: "2023-11-14T22:13:21.000Z",
            },
          },
        },
      },
      { json: { data: { orbs: { totalCount: 1, edges: [{ node: { versions: [{ source: orbOf("y") }] } }] } } } },
      { json: { data: { orb: { isPrivate: true }, registryNamespace: { id: "acme" } } } },
    ]);
  });

  test("a token is wanted, in any of the ways in which CircleCI's clients send it", async () => {
    await using orbs = await registry();
    const { agent, token: ofClass } = orbs.plane;
    const json = { query: '{ orb(name: "a/b") { name } }' };

    const without = await agent.call("POST", "/graphql-unstable", { json });
    const wrong = await orbs.ask(json.query, {}, newToken().token.reveal());
    const forTasks = await orbs.ask(json.query, {}, ofClass);

    expect([without.status, wrong.status, forTasks.status]).toEqual([401, 401, 401]);
    expect(without.json).toMatchObject({ code: "unauthorized", message: expect.stringContaining("no token") });
    expect(wrong.json).toMatchObject({ message: expect.stringContaining("no user token of this control plane") });
  });
});
