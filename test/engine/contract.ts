import { randomBytes, randomUUID } from "node:crypto";
import { finished } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, test as vitest } from "vitest";
import {
  type Attachment,
  type ContainerPlan,
  type Engine,
  type Exit,
  type HelperPlan,
  isEngineError,
} from "../../src/engine/engine.ts";
import { until } from "../fakes/until.ts";

/** What a command in the container does, said in words that every engine under test can turn into a command. */
interface Scripts {
  /** Writes this to stdout and stderr and exits. */
  say: (orders: { stdout?: string; stderr?: string; exit?: number }) => Partial<ContainerPlan>;
  /** Sends this many bytes of stdin back, then exits 0. */
  echo: (bytes: number) => Partial<ContainerPlan>;
  /** Runs until it is killed. */
  sleep: () => Partial<ContainerPlan>;
  /** Takes more memory than its limit of 64 MiB. */
  eat: () => Partial<ContainerPlan>;
  /** The command of a helper that writes this to stdout and exits. */
  help: (orders: { stdout: string; exit: number }) => string[];
  /** Of one that runs until it is killed. */
  helpForever: () => string[];
}

export interface ContractSubject {
  engine: Engine;
  image: string;
  /** A user of the image, and its account. */
  user: { name: string; uid: number; gid: number; home: string };
  scripts: Scripts;
  /** As somebody else does. */
  setPaused: (name: string, isPaused: boolean) => Promise<void>;
}

const never = new AbortController().signal;

/**
 * Every engine passes this: order, idempotence, errors by code, labels, concurrency, exact bytes. `unmet`: titles of tests that an engine
 * is known to fail, with the reason. One that it passes fails here, so that the list stays true.
 */
export function engineContract(
  name: string,
  make: () => Promise<ContractSubject>,
  unmet: Readonly<Record<string, string>> = {},
): void {
  const titles = new Set<string>();
  function test(title: string, body: () => Promise<void>): void {
    titles.add(title);
    (title in unmet ? vitest.fails : vitest)(title, body);
  }

  describe(`the engine contract, ${name}`, () => {
    let subject: ContractSubject;
    let engine: Engine;
    const run = randomUUID();
    const label = { "dev.cofferdam.contract": run };
    let count = 0;

    beforeAll(async () => {
      subject = await make();
      engine = subject.engine;
    });

    afterAll(async () => {
      for (const object of await engine.list(label, never)) await engine.removeObject(object, never);
    });

    function plan(changes: Partial<ContainerPlan> = {}): ContainerPlan {
      return {
        name: `cofferdam-contract-${run.slice(0, 8)}-${++count}`,
        labels: label,
        image: subject.image,
        environment: {},
        workingDirectory: "/",
        limits: { memoryBytes: 64 * 1024 * 1024, cpus: 1, pids: 64, openFiles: 1024 },
        isolation: "standard",
        network: { mode: "none" },
        shared: [],
        ...subject.scripts.sleep(),
        ...changes,
      };
    }

    async function started(changes: Partial<ContainerPlan>): Promise<{ id: string; attachment: Attachment }> {
      const id = await engine.create(plan(changes), never);
      const attachment = await engine.attach(id, never);
      await engine.start(id, never);
      return { id, attachment };
    }

    async function whole(changes: Partial<ContainerPlan>): Promise<{ exit: Exit; stdout: string; stderr: string }> {
      const { id, attachment } = await started(changes);
      const [stdout, stderr, exit] = await Promise.all([
        text(attachment.stdout),
        text(attachment.stderr),
        engine.wait(id, never),
      ]);
      await engine.remove(id, never);
      return { exit, stdout, stderr };
    }

    test("it says what it is", async () => {
      const info = await engine.info(never);
      expect(info.cpus).toBeGreaterThan(0);
      expect(info.memoryBytes).toBeGreaterThan(0);
      expect(info.architecture).toMatch(/^[a-z0-9]+$/);
    });

    test("a container's streams and its exit code come out as they went in", async () => {
      const result = await whole(subject.scripts.say({ stdout: "out", stderr: "err", exit: 7 }));
      expect(result).toEqual({ exit: { code: 7, outOfMemory: false }, stdout: "out", stderr: "err" });
    });

    test("eight random mebibytes go in and come out byte for byte", async () => {
      const bytes = randomBytes(8 * 1024 * 1024);
      const { id, attachment } = await started(subject.scripts.echo(bytes.byteLength));
      const received = buffer(attachment.stdout);
      attachment.stderr.resume();
      attachment.stdin.write(bytes);
      await engine.wait(id, never);
      expect((await received).equals(bytes)).toBe(true);
      await engine.remove(id, never);
    });

    test("a second attachment takes over where the first one broke off", async () => {
      const { id, attachment } = await started(subject.scripts.echo(10));
      attachment.stdout.resume();
      attachment.stderr.resume();
      attachment.close();
      const second = await engine.attach(id, never);
      second.stderr.resume();
      const received = text(second.stdout);
      // Where nothing takes it in any more, the end of the wait tells first.
      received.catch(() => {});
      second.stdin.write("0123456789");
      expect((await engine.wait(id, never)).code).toBe(0);
      expect(await received).toBe("0123456789");
      await engine.remove(id, never);
    });

    test("an image that is not there is undefined, and a container of it is refused as not found", async () => {
      expect(await engine.image("cofferdam.invalid/nothing:1", never)).toBeUndefined();
      await expect(engine.create(plan({ image: "cofferdam.invalid/nothing:1" }), never)).rejects.toSatisfy(
        (error: unknown) => isEngineError(error, "not-found"),
      );
    });

    test("a name that is taken is a conflict", async () => {
      const first = plan(subject.scripts.sleep());
      const id = await engine.create(first, never);
      await expect(engine.create(first, never)).rejects.toSatisfy((error: unknown) => isEngineError(error, "conflict"));
      await engine.remove(id, never);
    });

    test("kill and remove may come twice, at any time, and for what never was", async () => {
      const { id, attachment } = await started(subject.scripts.sleep());
      attachment.stdout.resume();
      attachment.stderr.resume();
      await engine.kill(id, never);
      await engine.kill(id, never);
      expect((await engine.wait(id, never)).code).toBe(137);
      await engine.kill(id, never);
      await Promise.all([engine.remove(id, never), engine.remove(id, never)]);
      await engine.remove(id, never);
      await engine.kill(id, never);
      await engine.remove("cofferdam-contract-never-was", never);
      await engine.kill("cofferdam-contract-never-was", never);
      expect(await engine.inspect(id, never)).toBeUndefined();
    });

    test("remove takes a running container away by its name", async () => {
      const { id, attachment } = await started(subject.scripts.sleep());
      const closed = Promise.all([finished(attachment.stdout.resume()), finished(attachment.stderr.resume())]);
      const state = await engine.inspect(id, never);
      expect(state?.running).toBe(true);
      await engine.remove(state?.name ?? "", never);
      await closed;
      expect(await engine.inspect(id, never)).toBeUndefined();
    });

    test("a wait for what was taken away is rejected as not found", async () => {
      await expect(engine.wait("cofferdam-contract-never-was", never)).rejects.toSatisfy((error: unknown) =>
        isEngineError(error, "not-found"),
      );
    });

    test("a container and its workspace carry the labels from the start, and go together", async () => {
      const labels = { ...label, "dev.cofferdam.contract.part": `${++count}` };
      const workspace = { path: "/w", owner: { uid: 0, gid: 0 }, medium: "disk", sizeBytes: 1 << 20 } as const;
      const id = await engine.create(plan({ labels, workspace }), never);
      const found = await engine.list(labels, never);
      expect(found.map((object) => object.kind).sort()).toEqual(["container", "volume"]);
      expect(found.find((object) => object.kind === "container")).toMatchObject({ id, labels, running: false });
      expect((await engine.inspect(id, never))?.labels).toMatchObject(labels);
      await engine.remove(id, never);
      expect(await engine.list(labels, never)).toEqual([]);
    });

    test("list wants every label, not one of them", async () => {
      const id = await engine.create(plan({ labels: { ...label, part: "one" } }), never);
      expect(await engine.list({ ...label, part: "two" }, never)).toEqual([]);
      expect((await engine.list({ ...label, part: "one" }, never)).map((object) => object.id)).toEqual([id]);
      await engine.remove(id, never);
    });

    test("objects that list found can be removed, also when they are gone", async () => {
      const labels = { ...label, part: "objects" };
      await engine.create(plan({ labels }), never);
      const objects = await engine.list(labels, never);
      for (const object of objects) {
        await engine.removeObject(object, never);
        await engine.removeObject(object, never);
      }
      expect(await engine.list(labels, never)).toEqual([]);
    });

    test("memory that runs out is told", async () => {
      const { exit } = await whole(subject.scripts.eat());
      expect(exit).toMatchObject({ code: 137, outOfMemory: true });
    });

    test("containers run side by side and do not mix", async () => {
      const results = await Promise.all(
        [1, 2, 3, 4].map(async (exit) => await whole(subject.scripts.say({ stdout: `${exit}`, exit }))),
      );
      expect(results.map((result) => [result.stdout, result.exit.code])).toEqual([
        ["1", 1],
        ["2", 2],
        ["3", 3],
        ["4", 4],
      ]);
    });

    test("a container can join the network of one that runs", async () => {
      const { id, attachment } = await started(subject.scripts.sleep());
      attachment.stdout.resume();
      attachment.stderr.resume();
      const network = { mode: "join", container: id } as const;
      expect((await whole({ ...subject.scripts.say({ stdout: "in" }), network })).stdout).toBe("in");
      await engine.remove(id, never);
    });

    test("a network is made once, by however many at once, and goes when nothing is on it", async () => {
      const network = {
        name: `cofferdam-contract-${run}`,
        labels: label,
        subnets: ["198.19.252.0/28", "198.19.252.16/28"],
      };
      const states = await Promise.all([1, 2, 3].map(async () => await engine.ensureNetwork(network, never)));
      const subnets = new Set(states.flatMap((state) => state.subnets));
      expect([...subnets]).toEqual([expect.stringMatching(/^198\.19\.252\./)]);
      const networkId = states[0]?.id ?? "";
      expect(new Set(states.map((state) => state.id))).toEqual(new Set([networkId]));
      const { id, attachment } = await started({ network: { mode: "shared", network: networkId } });
      attachment.stdout.resume();
      attachment.stderr.resume();
      expect(await engine.removeNetwork(networkId, never)).toBe(false);
      await engine.remove(id, never);
      expect(await engine.removeNetwork(networkId, never)).toBe(true);
      expect(await engine.removeNetwork(networkId, never)).toBe(true);
    });

    function helper(part: string, command: string[]): HelperPlan {
      const name = `cofferdam-contract-${run.slice(0, 8)}-${part}`;
      return { name, labels: { ...label, part }, image: subject.image, command, network: { mode: "host" } };
    }

    test("a helper's output and exit code come back, and it is gone", async () => {
      const plan = helper("helper", subject.scripts.help({ stdout: "helped", exit: 3 }));
      expect(await engine.runHelper(plan, never)).toEqual({ code: 3, stdout: "helped", stderr: "" });
      expect(await engine.list(plan.labels, never)).toEqual([]);
    });

    test("a helper that is given up is gone soon, though somebody has paused it", async () => {
      const plan = helper("endless", subject.scripts.helpForever());
      const patience = new AbortController();
      const failure = engine.runHelper(plan, patience.signal).catch((error: unknown) => error);
      await until(async () => (await engine.list(plan.labels, never)).some((object) => object.running));
      await subject.setPaused(plan.name, true);
      patience.abort();
      expect(await failure).toMatchObject({ code: "aborted" });
      await until(async () => (await engine.list(plan.labels, never)).length === 0);
    });

    test("what somebody has paused is known by its labels, and still runs", async () => {
      const paused = plan(subject.scripts.sleep());
      const id = await engine.create(paused, never);
      const attachment = await engine.attach(id, never);
      await engine.start(id, never);
      await subject.setPaused(paused.name, true);
      expect(await engine.paused(label, never)).toEqual([paused.name]);
      expect(await engine.paused({ ...label, "dev.cofferdam.contract": "another" }, never)).toEqual([]);
      expect(await engine.inspect(id, never)).toMatchObject({ running: true, phase: "paused" });
      await subject.setPaused(paused.name, false);
      expect(await engine.paused(label, never)).toEqual([]);
      await subject.setPaused(paused.name, true);
      await engine.kill(id, never);
      expect((await engine.wait(id, never)).code).toBe(137);
      attachment.close();
      await engine.remove(id, never);
    });

    test("the users of an image are known", async () => {
      const image = await engine.image(subject.image, never);
      if (image === undefined) throw new Error(`no image ${subject.image}`);
      const { name, ...account } = subject.user;
      expect(await engine.account(image, name, never)).toEqual(account);
      expect(await engine.account(image, "root", never)).toEqual({ uid: 0, gid: 0, home: "/root" });
      expect(await engine.account(image, "4321:8765", never)).toEqual({ uid: 4321, gid: 8765, home: "/" });
      await expect(engine.account(image, "nobody-of-that-name", never)).rejects.toSatisfy((error: unknown) =>
        isEngineError(error, "not-startable"),
      );
    });

    test("a shared volume is made once, by however many at once", async () => {
      const volume = { name: `cofferdam-contract-${run}`, image: subject.image, path: "/etc", labels: label };
      await Promise.all([1, 2, 3].map(async () => await engine.ensureSharedVolume(volume, never)));
      await engine.ensureSharedVolume(volume, never);
      const shared = [{ volume: volume.name, path: "/shared" }];
      expect((await whole({ ...subject.scripts.say({ stdout: "ok" }), shared })).stdout).toBe("ok");
    });

    test("a signal that has gone off stops every call before it does anything", async () => {
      const gone = AbortSignal.abort();
      const calls = [
        engine.info(gone),
        engine.image(subject.image, gone),
        engine.pull(subject.image, { signal: gone }),
        engine.create(plan(), gone),
        engine.start("x", gone),
        engine.wait("x", gone),
        engine.attach("x", gone),
        engine.inspect("x", gone),
        engine.kill("x", gone),
        engine.remove("x", gone),
        engine.list(label, gone),
      ];
      for (const call of calls)
        await expect(call).rejects.toSatisfy((error: unknown) => isEngineError(error, "aborted"));
    });

    test("a wait is given up when its signal goes off, and the container runs on", async () => {
      const { id, attachment } = await started(subject.scripts.sleep());
      attachment.stdout.resume();
      attachment.stderr.resume();
      const controller = new AbortController();
      const waiting = engine.wait(id, controller.signal);
      controller.abort();
      await expect(waiting).rejects.toSatisfy((error: unknown) => isEngineError(error, "aborted"));
      expect((await engine.inspect(id, never))?.running).toBe(true);
      await engine.remove(id, never);
    });

    vitest("what is known to fail is a part of it", () => {
      expect(Object.keys(unmet).filter((title) => !titles.has(title))).toEqual([]);
    });
  });
}

async function buffer(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function text(stream: AsyncIterable<unknown>): Promise<string> {
  return (await buffer(stream)).toString("utf8");
}
