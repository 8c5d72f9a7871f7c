import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type Docker from "dockerode";
import { pack } from "tar-stream";
import { dockerode } from "../leak-check.ts";

/** As `htpasswd -B` wrote it. */
export const account = { username: "alice", password: "secret-of-alice" };
const htpasswd = "alice:$2y$05$riRCFGkN1k/Aay.Fo5X5yeEdjJ9rU.T0EWMJp/xe1aYnGQYOHcH/a";

/** More than serve.ts takes for a small document. */
const layerBytes = 300_000;
const places = ["/usr/bin/docker-registry", "/var/lib/cofferdam-registry/usr/bin/docker-registry"];

export interface TestRegistry extends AsyncDisposable {
  /** `127.0.0.1:PORT`, as the engine sees them: without a password, with one, and the failing one; see serve.ts. */
  open: string;
  closed: string;
  faulty: string;
  /** Makes a new image and puts it there under this name (`HOST/app:1`), with one layer of its own. Returns its digest. */
  push(name: string): Promise<string>;
  /** Puts the image there that the engine has under this name. Returns its digest. */
  publish(name: string): Promise<string>;
  /** Requests to the failing one so far. */
  requests(): Promise<string[]>;
}

/** Real registries on the loopback of an engine, wherever that is on this machine: of the one under test when none is given. */
export async function startTestRegistry(engine?: Docker): Promise<TestRegistry> {
  const docker = engine ?? (await dockerode());
  const container = await startContainer(docker);
  const log = async (): Promise<string[]> => {
    const text = (await container.logs({ stdout: true, stderr: false })).toString("utf8");
    return text.split(/\r?\n/).filter((line) => line !== "");
  };
  const addresses = await untilServing(container, log).catch(async (error: unknown) => {
    await container.remove({ force: true, v: true });
    throw error;
  });
  return {
    ...addresses,
    push: async (name) => await pushNew(docker, name),
    publish: async (name) => await push(docker, name),
    requests: async () => (await log()).slice(1),
    [Symbol.asyncDispose]: async () => await container.remove({ force: true, v: true }),
  };
}

async function untilServing(container: Docker.Container, log: () => Promise<string[]>) {
  for (;;) {
    const [word, open = "", closed = "", faulty = ""] = (await log())[0]?.split(" ") ?? [];
    if (word === "serving") return { open, closed, faulty };
    if (!(await container.inspect()).State.Running)
      throw new Error(`The registry for tests: ${(await log()).join(" ")}`);
  }
}

async function startContainer(docker: Docker): Promise<Docker.Container> {
  const binary = places.find((place) => existsSync(place));
  if (binary === undefined) throw new Error("No registry for the tests. Run `sh scripts/setup.sh --for test`.");
  const container = await docker.createContainer({
    Image: "cofferdam/task-agent:dev",
    User: "0",
    Tty: true,
    Entrypoint: ["/opt/cofferdam/lib/ld.so", "--library-path", "/opt/cofferdam/lib", "/opt/cofferdam/node"],
    Cmd: ["--disable-warning=ExperimentalWarning", "/srv/serve.ts", "/srv/registry", htpasswd],
    HostConfig: {
      NetworkMode: "host",
      Binds: [`${binary}:/srv/registry:ro`, `${join(import.meta.dirname, "serve.ts")}:/srv/serve.ts:ro`],
      Tmpfs: { "/tmp": "" },
    },
  });
  await container.start();
  return container;
}

/** An image with a layer of its own that the engine does not keep: whoever wants it has to pull it whole. */
async function pushNew(docker: Docker, name: string): Promise<string> {
  const container = await docker.createContainer({ Image: "busybox:latest" });
  try {
    const archive = pack();
    archive.entry({ name: "random-file" }, randomBytes(layerBytes));
    archive.finalize();
    await container.putArchive(archive as unknown as NodeJS.ReadableStream, { path: "/" });
    const { repo, tag } = partsOf(name);
    await container.commit({ repo, tag });
  } finally {
    await container.remove({ force: true, v: true });
  }
  try {
    return await push(docker, name);
  } finally {
    await docker.getImage(name).remove();
  }
}

async function push(docker: Docker, name: string): Promise<string> {
  const authconfig = { ...account, serveraddress: name.split("/")[0] ?? "" };
  const stream = await docker.getImage(name).push({ authconfig });
  const records = await new Promise<PushRecord[]>((resolve, reject) => {
    docker.modem.followProgress(stream, (error, output) => (error ? reject(error) : resolve(output as PushRecord[])));
  });
  const failure = records.find(({ error }) => error !== undefined)?.error;
  if (failure !== undefined) throw new Error(`push ${name}: ${failure}`);
  const digest = records.find(({ aux }) => aux?.Digest)?.aux?.Digest;
  if (digest === undefined) throw new Error(`push ${name}: no digest was told`);
  return digest;
}

function partsOf(name: string): { repo: string; tag: string } {
  const at = name.lastIndexOf(":");
  return { repo: name.slice(0, at), tag: name.slice(at + 1) };
}

interface PushRecord {
  error?: string;
  aux?: { Digest?: string };
}
