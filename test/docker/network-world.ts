import { randomUUID } from "node:crypto";
import type Docker from "dockerode";
import { dockerodeUnderTest } from "./engine-under-test.ts";

const image = "cofferdam/test-network:dev";

/**
 * Around the engine's host: a machine beyond it, a metadata service that is reached through the host and one on the host itself, and
 * something that listens at every address of the host. All of it is gone when it is disposed of.
 */
export interface NetworkWorld extends AsyncDisposable {
  /** `address port` of what is beyond the host. */
  outside: string;
  /** The same, of what no task may reach. */
  forbidden: string[];
  /** What a script prints in a container on the engine's default bridge. */
  onDefaultBridge(script: string): Promise<string>;
}

/** Link-local, but no cloud's: the machine that runs the tests may need its own. */
const metadataBeyond = "169.254.77.77";
const metadataHere = "169.254.77.78";
const outside = "203.0.113.2";
const servicePort = 8123;
const hostPort = 18_431;

export async function openNetworkWorld(): Promise<NetworkWorld> {
  const docker = await dockerodeUnderTest();
  const left: Docker.Container[] = [];
  const serve = (port: number) => `mkdir /www; echo served > /www/index.html; exec busybox httpd -f -p ${port} -h /www`;
  try {
    const beyond = await start(docker, left, { script: serve(servicePort), host: { NetworkMode: "none" } });
    await start(docker, left, { script: serve(hostPort), host: { NetworkMode: "host" } });
    const { State } = await beyond.inspect();
    await onHost(docker, wire(State.Pid));
    const said = await onHost(docker, "ip -4 -o addr show");
    const own = [...said.matchAll(/inet ([0-9.]+)/g)]
      .map(([, found = ""]) => found)
      .filter((ip) => !ip.startsWith("127."));
    return {
      outside: `${outside} ${servicePort}`,
      forbidden: [...own.map((ip) => `${ip} ${hostPort}`), `${metadataBeyond} ${servicePort}`],
      onDefaultBridge: async (script) => await once(docker, script, { NetworkMode: "bridge" }),
      [Symbol.asyncDispose]: async () => {
        await onHost(docker, `ip link del cftest; ip addr del ${metadataHere}/32 dev lo`);
        await Promise.all(left.map((container) => container.remove({ force: true, v: true })));
      },
    };
  } catch (error) {
    await Promise.all(left.map((container) => container.remove({ force: true, v: true })));
    throw error;
  }
}

/** Says of each `address port` whether it can be reached. Needs bash. */
export function reachScript(targets: readonly string[]): string {
  const each =
    'timeout 3 bash -c "exec 3<>/dev/tcp/$address/$port" 2>/dev/null && echo "$address open" || echo "$address closed"';
  const lines = targets.map((target) => `'${target}'`).join(" ");
  return `printf '%s\\n' ${lines} | while read -r address port; do ${each}; done`;
}

function wire(pid: number): string {
  return [
    "set -e",
    "ip link add cftest type veth peer name cfout",
    `ip link set cfout netns ${pid}`,
    "ip addr add 203.0.113.1/30 dev cftest",
    "ip link set cftest up",
    `nsenter -t ${pid} -n sh -ec 'ip addr add ${outside}/30 dev cfout; ip addr add ${metadataBeyond}/32 dev lo; ip link set cfout up; ip route add default via 203.0.113.1'`,
    `ip route add ${metadataBeyond}/32 via ${outside}`,
    `ip addr add ${metadataHere}/32 dev lo`,
  ].join("\n");
}

interface Service {
  script: string;
  host: Docker.HostConfig;
}

async function start(docker: Docker, left: Docker.Container[], { script, host }: Service): Promise<Docker.Container> {
  const container = await docker.createContainer({
    name: `cofferdam-test-network-${randomUUID()}`,
    Image: image,
    Cmd: ["sh", "-c", script],
    HostConfig: { Init: true, ...host },
  });
  left.push(container);
  await container.start();
  return container;
}

/** As root of the engine's host, in its own network. */
async function onHost(docker: Docker, script: string): Promise<string> {
  const CapAdd = ["NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE"];
  const SecurityOpt = ["seccomp=unconfined", "apparmor=unconfined"];
  return await once(docker, script, { NetworkMode: "host", PidMode: "host", CapAdd, SecurityOpt });
}

async function once(docker: Docker, script: string, host: Docker.HostConfig): Promise<string> {
  const left: Docker.Container[] = [];
  try {
    const container = await start(docker, left, {
      script,
      host: { ...host, LogConfig: { Type: "json-file", Config: {} } },
    });
    const { StatusCode }: { StatusCode: number } = await container.wait();
    const said = plain(await container.logs({ stdout: true, stderr: true, follow: false }));
    if (StatusCode !== 0) throw new Error(`a script of the test's network failed: ${said}`);
    return said;
  } finally {
    await Promise.all(left.map((container) => container.remove({ force: true, v: true })));
  }
}

/** Without the headers of the engine's frames. */
function plain(frames: Buffer): string {
  let text = "";
  for (let at = 0; at + 8 <= frames.byteLength; ) {
    const length = frames.readUInt32BE(at + 4);
    text += frames.subarray(at + 8, at + 8 + length).toString("utf8");
    at += 8 + length;
  }
  return text;
}
