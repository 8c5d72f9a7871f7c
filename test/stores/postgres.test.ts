import { sql } from "kysely";
import { expect, test, vi } from "vitest";
import type { ControlPlaneError } from "../../src/control-plane/errors.ts";
import { nextNumbers } from "../../src/control-plane/store/counters.ts";
import { openStore, type Store } from "../../src/control-plane/store/store.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { Secret } from "../../src/lib/secret.ts";
import { agentApi } from "../../src/protocol/agent-api.ts";
import { configOf, jobEnds, storyOf, temporaryControlPlane } from "../fakes/temporary-control-plane.ts";
import { removeStoreOf, storeOf } from "../fakes/test-store.ts";
import { PostgresServer } from "./support/postgres-server.ts";

interface Opened extends AsyncDisposable {
  store: Store;
  told: string[];
  /** Another process over the same database. */
  another(onCommit?: (topic: string, count: number) => void): Promise<Store>;
}

/** A database of its own, without control plane. */
async function openOwn(name: string): Promise<Opened> {
  const directory = `/nowhere/${name}`;
  const where = { directory: import.meta.dirname, ...(await storeOf(directory)) };
  const told: string[] = [];
  const others: Store[] = [];
  const open = async (onCommit: (topic: string, count: number) => void) =>
    await openStore({ ...where, clock: systemClock, onCommit });
  const store = await open((topic) => void told.push(topic));
  return {
    store,
    told,
    another: async (onCommit = () => undefined) => {
      const other = await open(onCommit);
      others.push(other);
      return other;
    },
    [Symbol.asyncDispose]: async () => {
      for (const each of [store, ...others]) await each.close();
      await removeStoreOf(directory);
    },
  };
}

test("transactions that wait for each other in a circle are run again, and both succeed", async () => {
  await using own = await openOwn("circle");
  const both = Promise.withResolvers<void>();
  let arrived = 0;
  let runs = 0;
  const work = async ([first, second]: [string, string]): Promise<number> =>
    await own.store.transaction(async (unit) => {
      runs += 1;
      await unit.lock(first);
      if (++arrived === 2) both.resolve();
      await both.promise;
      await unit.lock(second);
      return await nextNumbers(unit.db, "n");
    });

  const numbers = await Promise.all([work(["a", "b"]), work(["b", "a"])]);

  expect(numbers.toSorted((a, b) => a - b)).toEqual([1, 2]);
  expect(runs).toBe(3);
});

test("a name that is locked is waited for, until the transaction that has it ends", async () => {
  await using own = await openOwn("lock");
  const other = await own.another();
  const order: string[] = [];
  const release = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();

  const first = own.store.transaction(async (unit) => {
    await unit.lock("name");
    await unit.lock("name");
    locked.resolve();
    await release.promise;
    order.push("first");
  });
  await locked.promise;
  const second = other.transaction(async (unit) => {
    await unit.lock("name");
    order.push("second");
  });
  await other.transaction(async (unit) => await unit.lock("another name"));
  release.resolve();
  await Promise.all([first, second]);

  expect(order).toEqual(["first", "second"]);
});

test("what one process commits is told to the others, once, and in as many messages as it takes", async () => {
  await using own = await openOwn("news");
  const heard = new Map<string, number>();
  const other = await own.another((topic, count) => void heard.set(topic, (heard.get(topic) ?? 0) + count));
  await vi.waitUntil(
    async () => {
      await own.store.transaction(async (unit) => unit.notify("probe"));
      return heard.has("probe");
    },
    { timeout: 10_000, interval: 50 },
  );
  const topics = Array.from({ length: 300 }, (_unused, index) => `topic:${"x".repeat(80)}:${index}`);

  await own.store.transaction(async (unit) => {
    for (const topic of topics) {
      unit.notify(topic);
      unit.notify(topic);
    }
  });
  await vi.waitUntil(() => topics.every((topic) => heard.has(topic)), { timeout: 10_000 });
  await other.transaction(async (unit) => unit.notify("own"));

  expect(topics.map((topic) => heard.get(topic))).toEqual(topics.map(() => 2));
  expect(own.told.filter((topic) => topic === topics[0])).toHaveLength(1);
  expect(heard.get("own")).toBe(1);
});

test("texts are in the order of their bytes, and whole numbers are numbers", async () => {
  await using own = await openOwn("order");
  const { db } = own.store;
  for (const name of ["b", "B", "ä", "a", "_"])
    await db.insertInto("counter").values({ name, value: Number.MAX_SAFE_INTEGER }).execute();

  const rows = await db.selectFrom("counter").selectAll().orderBy("name").execute();

  expect(rows.map(({ name }) => name)).toEqual(["B", "_", "a", "b", "ä"]);
  expect(rows[0]?.value).toBe(Number.MAX_SAFE_INTEGER);
});

test("what PostgreSQL cannot store is the caller's mistake, in words", async () => {
  await using plane = await temporaryControlPlane();
  await plane.start(configOf(["build"]));
  const task = await plane.agent.claim(plane.token);

  const saved = await task?.call("PUT", `${agentApi.cache}?key=nul%00byte`, { body: "x" });

  expect(saved).toMatchObject({ status: 400, json: { message: expect.stringContaining("NUL character") } });
});

test("a task that one process queues wakes an agent that waits at another one", async () => {
  await using plane = await temporaryControlPlane();
  await using other = await temporaryControlPlane({ dataDirectory: `${plane.directory}/data` });
  const held = [];

  for (let count = 0; count < 5; count++) {
    const waiting = other.agent.claim(plane.token, { waitMs: 30_000 });
    const { id } = await plane.start(configOf(["build"]));
    const task = await waiting;
    await task?.finish();
    held.push(jobEnds(await storyOf(plane.controlPlane, id)));
  }

  expect(held).toEqual(Array.from({ length: 5 }, () => ({ build: "success" })));
});

test("of a hundred agents at three processes, exactly one gets the one task", { timeout: 120_000 }, async () => {
  await using plane = await temporaryControlPlane();
  const shared = { dataDirectory: `${plane.directory}/data` };
  await using second = await temporaryControlPlane(shared);
  await using third = await temporaryControlPlane(shared);
  const agents = [plane.agent, second.agent, third.agent];

  for (let round = 0; round < 5; round++) {
    const { id } = await plane.start(configOf(["build"]));
    const claims = await Promise.all(
      Array.from({ length: 100 }, async (_unused, index) =>
        agents[index % 3]?.claim(plane.token, { name: `agent-${index}`, claimId: `${round}-${index}` }),
      ),
    );
    const winners = claims.flatMap((claim) => claim ?? []);
    expect(winners).toHaveLength(1);
    await winners[0]?.finish();
    expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ build: "success" });
  }
});

test("a claim that is asked of two processes at once is answered with one task by both", async () => {
  await using plane = await temporaryControlPlane();
  await using other = await temporaryControlPlane({ dataDirectory: `${plane.directory}/data` });
  await plane.start(configOf(["a", "b", "c", "d"]));

  for (let round = 0; round < 4; round++) {
    const same = { name: "agent", claimId: `claim-${round}` };
    const both = await Promise.all([plane.agent.claim(plane.token, same), other.agent.claim(plane.token, same)]);
    expect(both[0]?.task.id).toBeDefined();
    expect(both[1]?.task.id).toBe(both[0]?.task.id);
  }
});

test("jobs of one serial group that two processes start at once run one after the other", {
  timeout: 120_000,
}, async () => {
  await using plane = await temporaryControlPlane();
  await using other = await temporaryControlPlane({ dataDirectory: `${plane.directory}/data` });
  const config = configOf([{ deploy: { "serial-group": "group" } }]);
  const project = (slug: string) => ({ project: { slug, name: slug } });

  const started = await Promise.all([
    plane.start(config, project("gh/a/a")),
    other.start(config, project("gh/b/b")),
    plane.start(config, project("gh/c/c")),
    other.start(config, project("gh/d/d")),
  ]);
  for (let left = started.length; left > 0; left--) {
    const tasks = [await plane.agent.claim(plane.token, { waitMs: 10_000 }), await other.agent.claim(plane.token)];
    expect(tasks.map((task) => task !== undefined)).toEqual([true, false]);
    await tasks[0]?.finish();
  }

  for (const { id } of started) expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ deploy: "success" });
});

test("while PostgreSQL is away callers are told so; what was acknowledged is there when it is back", {
  timeout: 120_000,
}, async () => {
  await using server = await PostgresServer.start();
  const database = { url: new Secret(await server.createDatabase("own")) };
  await using plane = await temporaryControlPlane({ database });
  const { id } = await plane.start(configOf(["build"]));
  const task = await plane.agent.claim(plane.token);
  if (!task) throw new Error("no task");
  const acked = await task.send([{ type: "step-started", step: 100, name: "s", kind: "run", atMs: 1 }]);

  for (const how of ["fast", "kill"] as const) {
    await server.stop(how);
    const refused = await task.call("POST", agentApi.claim, { token: plane.token, json: { name: "a" } });
    const ready = await task.call("GET", "/ready");
    expect(refused).toMatchObject({ status: 503, json: { code: "unavailable" } });
    expect(JSON.stringify(refused.json)).toMatch(/PostgreSQL (cannot be reached|does not take connections)/);
    expect(ready.status).toBe(503);
    await server.run();
    expect((await task.call("GET", "/ready")).status).toBe(200);
  }
  const step = { type: "step-ended", step: 100, outcome: { kind: "succeeded" }, atMs: 2 } as const;
  const ended = await task.send([step, { type: "task-ended", status: "success", atMs: 3 }]);

  expect([acked.status, ended.status]).toEqual([200, 200]);
  expect(jobEnds(await storyOf(plane.controlPlane, id))).toEqual({ build: "success" });
});

test("a database that cannot be used is said in words, with what to do, and without its password", {
  timeout: 60_000,
}, async () => {
  await using server = await PostgresServer.start();
  const problem = async (url: string): Promise<string> => {
    const error = await openStore({
      directory: import.meta.dirname,
      database: { url: new Secret(url) },
      clock: hurried(),
      onCommit: () => undefined,
    }).catch((caught: unknown) => caught as ControlPlaneError);
    return error instanceof Error ? error.message : "none";
  };
  await server.query("postgres", "create role reader login password 'not-a-secret'");
  await server.query("postgres", "revoke create on schema public from public");

  const nobody = server.url("postgres", "nobody:wrong-password");
  expect(await problem(nobody)).toMatch(/refuses the password; look at COFFERDAM_DATABASE_URL/);
  expect(await problem(server.url("nowhere"))).toMatch(/has no such database; create it/);
  expect(await problem(server.url("postgres", "reader:not-a-secret"))).toMatch(
    /does not permit this; the user has to own/,
  );
  expect(await problem(`${server.url("postgres")}?sslmode=verify-full`)).toMatch(/no TLS with PostgreSQL/);
  await server.stop();
  const away = await problem(nobody);
  expect(away).toMatch(/cannot be reached \(ECONNREFUSED\)/);
  expect(away).not.toContain("wrong-password");
});

test("TLS with a certificate that is trusted is spoken, and with no other", { timeout: 60_000 }, async () => {
  await using server = await PostgresServer.start();
  const trusted = await server.makeCertificate();
  await server.stop();
  await server.run(["ssl=on"]);
  const open = async (parameters: string): Promise<Store> =>
    await openStore({
      directory: import.meta.dirname,
      database: { url: new Secret(`${server.url("postgres")}?${parameters}`) },
      clock: systemClock,
      onCommit: () => undefined,
    });

  const store = await open(`sslmode=verify-full&sslrootcert=${trusted}`);
  const { rows } = await sql<{ ssl: boolean }>`select ssl from pg_stat_ssl where pid = pg_backend_pid()`.execute(
    store.db,
  );
  await store.close();

  expect(rows).toEqual([{ ssl: true }]);
  await expect(open("sslmode=verify-full")).rejects.toThrow(
    /no TLS with PostgreSQL: .*look at sslmode and sslrootcert/,
  );
});

test("several processes that start on an empty database at once all get a store", async () => {
  await using own = await openOwn("many");
  await sql`drop schema public cascade; create schema public`.execute(own.store.db);

  const stores = await Promise.all([own.another(), own.another(), own.another(), own.another()]);

  const numbers = await Promise.all(stores.map((store) => store.transaction(({ db }) => nextNumbers(db, "n"))));
  expect(numbers.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4]);
});

/** Whoever waits by it has no patience. */
function hurried(): Clock {
  let now = 0;
  return { now: () => now, monotonic: () => (now += 60_000), sleep: () => Promise.resolve() };
}
