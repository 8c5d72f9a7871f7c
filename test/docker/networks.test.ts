import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { Network, type Task } from "../../src/protocol/task.ts";
import type { FakeControlPlane, FakeTask } from "../fakes/fake-control-plane.ts";
import { said } from "../fakes/fake-task.ts";
import { noNetwork } from "../fakes/tasks.ts";
import { debian, EngineStage, inImages } from "./agents.ts";
import { type NetworkWorld, openNetworkWorld, reachScript } from "./network-world.ts";

const never = new AbortController().signal;

let stage: EngineStage;
let controlPlane: FakeControlPlane;

beforeEach(async () => {
  stage = await EngineStage.of("docker-networks");
  controlPlane = stage.controlPlane;
  stage.startAgent({
    // None is made ahead, so that a test knows which one its task gets.
    sandboxes: { mode: "required", ready: 1, pauseMs: 3_600_000 },
    resolve: async (host) => (host === "registry.test" ? ["203.0.113.2"] : []),
  });
});

afterEach(async () => await stage.close());

function enqueue(command: string, container: Partial<Task["container"]>): FakeTask {
  return stage.enqueue(command, { network: Network.parse({}), ...container });
}

/** What was said to the task of its network. */
function toldTo(task: FakeTask): string {
  return said(task, { lane: "launch" });
}

function saidBy(task: FakeTask): string {
  return said(task, { lane: "task" });
}

function lines(task: FakeTask): string[] {
  return saidBy(task).trimEnd().split("\n");
}

async function run(command: string, container: Partial<Task["container"]> = debian): Promise<FakeTask> {
  const task = enqueue(command, container);
  expect(await controlPlane.ended(task)).toMatchObject({ status: "success" });
  return task;
}

function states(targets: readonly string[], state: "open" | "closed"): string[] {
  return targets.map((target) => `${target.split(" ")[0]} ${state}`);
}

describe("in a world with a host, a metadata service and a machine beyond", () => {
  let world: NetworkWorld;
  beforeAll(async () => {
    world = await openNetworkWorld();
  });
  afterAll(async () => {
    await world[Symbol.asyncDispose]();
  });

  test("a task reaches what is beyond, and neither the host nor metadata, which a plain container does", async () => {
    const everything = [world.outside, ...world.forbidden];
    const plain = await world.onDefaultBridge(reachScript(everything));
    expect(plain.trimEnd().split("\n")).toEqual(states(everything, "open"));

    const task = await run(reachScript(everything));

    expect(lines(task)).toEqual([...states([world.outside], "open"), ...states(world.forbidden, "closed")]);
    expect(toldTo(task)).toContain("Network: out, everywhere else. Never: other tasks");
  });

  test("a name that stands for a forbidden address does not lead there", async () => {
    const [address = "", port = ""] = world.forbidden.at(-1)?.split(" ") ?? [];

    const task = await run(`echo '${address} innocent.test' >> /etc/hosts; ${reachScript([`innocent.test ${port}`])}`);

    expect(lines(task)).toEqual(["innocent.test closed"]);
  });

  test("root in a task cannot take the rules away", async () => {
    const nft = "/opt/cofferdam-sandbox/lib/ld.so --library-path /opt/cofferdam-sandbox/lib /opt/cofferdam-sandbox/nft";
    const flush = `sudo ${nft} flush ruleset 2>&1 || true; sudo ${nft} delete table inet cofferdam 2>&1 || true`;

    const task = await run(`${flush}; sudo id -u; ${reachScript(world.forbidden)}`, {});

    expect(saidBy(task).match(/Operation not permitted/g)?.length).toBeGreaterThanOrEqual(2);
    expect(lines(task).slice(-1 - world.forbidden.length)).toEqual(["0", ...states(world.forbidden, "closed")]);
  });

  test("of what is not allowed nothing is reached, and it is told; what is allowed by name is", async () => {
    const [address = "", port = ""] = world.outside.split(" ");
    const network = Network.parse({ allow: [{ to: "registry.test", ports: [port] }] });

    const task = await run(reachScript([world.outside, `${address} 22`, "192.0.2.1 443"]), { ...debian, network });

    expect(lines(task)).toEqual([`${address} open`, `${address} closed`, "192.0.2.1 closed"]);
    expect(toldTo(task)).toContain(`Network: allow registry.test tcp ${port} (${address})`);
    // The task may have ended before.
    await controlPlane.until(() => toldTo(task).includes("refused"));
    expect(toldTo(task)).toContain(`refused: 192.0.2.1 tcp 443\nrefused: ${address} tcp 22\n`);
  });

  test("what is denied is let through in audit, and told", async () => {
    const [address = "", port = ""] = world.outside.split(" ");
    const network = Network.parse({ deny: [{ to: "203.0.113.0/24" }], audit: true });

    const task = await run(reachScript([world.outside, ...world.forbidden]), { ...debian, network });

    expect(lines(task)).toEqual([`${address} open`, ...states(world.forbidden, "closed")]);
    await controlPlane.until(() => toldTo(task).includes("audit:"));
    expect(toldTo(task)).toContain(`not allowed, let through for the audit: ${address} tcp ${port}\n`);
  });
});

test("a task finds no way to another one", async () => {
  const listen =
    'perl -MIO::Socket::INET -e \'$s = IO::Socket::INET->new(LocalPort => 9000, Listen => 9) or die; print `hostname -i`; $| = 1; print "\\n"; while ($c = $s->accept) { print "reached\\n" }\'';
  const other = enqueue(listen, debian);
  await controlPlane.until(() => /^198\.19\.[\d.]+\s/m.test(saidBy(other)));
  const [address = ""] = saidBy(other).split(/\s/);

  const task = await run(`${reachScript([`${address} 9000`])}; cat /proc/net/arp`);

  const [reached, ...neighbours] = lines(task);
  expect(reached).toBe(`${address} closed`);
  expect(neighbours.join("\n")).not.toContain(address);
  expect(saidBy(other)).not.toContain("reached");
});

test("a task has no IPv6 but its own loopback", async () => {
  const task = await run(
    "cut -c 1-32,45- /proc/net/if_inet6; cat /proc/net/ipv6_route | grep -v ' lo$' | grep -vc 'ff00' || true",
  );

  expect(lines(task).filter((line) => line.includes("eth"))).toEqual([]);
});

test("an engine on which no subnet is left says so, and what to do", async () => {
  await run("true");
  const network = { name: `cofferdam-test-${randomUUID()}`, labels: {}, subnets: ["198.19.0.0/16"] };

  await expect(stage.engine.ensureNetwork(network, never)).rejects.toThrow(
    /no subnet is left for network .*Remove networks that nobody uses/,
  );
});

test("names are resolved", async () => {
  await run("true");
  const [sandbox] = await stage.engine.list(
    { "dev.cofferdam.agent": stage.name, "dev.cofferdam.role": "sandbox" },
    never,
  );

  const task = await run(`getent hosts ${sandbox?.labels["dev.cofferdam.sandbox"]}; grep nameserver /etc/resolv.conf`);

  expect(lines(task)[0]).toMatch(/^198\.19\./);
  expect(lines(task)[1]).toBe("nameserver 127.0.0.11");
});

test("a class without a network has nothing but loopback", async () => {
  const task = await run("ls /sys/class/net", { ...debian, network: noNetwork });

  expect(lines(task)).toEqual(["lo"]);
});

test("services are on localhost, under their names", async () => {
  const web = {
    image: "busybox:latest",
    name: "web.internal",
    command: ["sh", "-c", "echo hello > index.html; exec httpd -f -p 8124"],
  };

  const task = await run(
    `until bash -c 'exec 3<>/dev/tcp/web.internal/8124' 2>/dev/null; do :; done; echo reached; getent hosts web.internal`,
    inImages({ image: "debian:bookworm-slim" }, web),
  );

  expect(lines(task)).toEqual(["reached", expect.stringMatching(/^127\.0\.0\.1\s+web\.internal/)]);
});

test("a sandbox is had again by the next task, unless one has left something in it", async () => {
  const first = lines(await run("hostname"));
  await untilIdle();
  const second = lines(await run("hostname; echo 203.0.113.9 left.behind >> /etc/hosts"));
  await untilIdle();
  const third = lines(await run("hostname; cat /etc/hosts"));

  expect(second).toEqual(first);
  expect(third[0]).not.toBe(first[0]);
  expect(third.join("\n")).not.toContain("left.behind");
});

/** Ends a line of connections that does not count, and takes what is said next into it. */
const swallowing = "x:FFFF 0 0 0 0 0 0 0 0 ";

test("a task cannot write files that make its sandbox look as new", async () => {
  const forge = [
    'hosts=$(cat /etc/hosts); resolver=$(cat /etc/resolv.conf); name=$(cat /etc/hostname); head="=== look at"',
    `printf '%s\\n' "$hosts" "$head /etc/resolv.conf" "$resolver" "$head /etc/hostname" "$name" "$head /proc/net/tcp" \\
      '203.0.113.9 ${swallowing}registry.npmjs.org' > /etc/hosts`,
    `printf '%s' '# ${swallowing}' >> /etc/hosts`,
    `printf 'nameserver 0x7f00000b 0 0 0 0 0 0 0 0\\n%s' '# ${swallowing}' > /etc/resolv.conf`,
    `printf '%s' 'x ${swallowing}' > /etc/hostname`,
  ].join("\n");
  const first = lines(await run(`hostname\n${forge}`));
  await untilIdle();

  const second = lines(await run("hostname; cat /etc/hosts /etc/resolv.conf"));

  expect(second[0]).not.toBe(first[0]);
  expect(second.join("\n")).not.toMatch(/203\.0\.113\.9|0x7f00000b/);
});

/** Until no container of a task is left, so that its sandbox has been looked at or is about to be. */
async function untilIdle(): Promise<void> {
  const labels = { "dev.cofferdam.agent": stage.name, "dev.cofferdam.role": "task" };
  while ((await stage.engine.list(labels, never)).length > 0) await systemClock.sleep(20);
}
