import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  type ControlPlane,
  type ControlPlaneOptions,
  compileWith,
  openControlPlane,
} from "../../src/control-plane/index.ts";
import { gitSource } from "../../src/control-plane/vcs/git-source.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { FakeAgent } from "./fake-agent.ts";

const run = promisify(execFile);

/** A control plane as a server of its own has it: classes decide what jobs get, an administrator says what there is, repositories are git's. */
export interface OperatedControlPlane extends AsyncDisposable {
  controlPlane: ControlPlane;
  directory: string;
  url: string;
  /** Of the administrator. */
  token: string;
  http: FakeAgent;
}

export async function operatedControlPlane(
  options: Partial<ControlPlaneOptions> = {},
  port = 0,
): Promise<OperatedControlPlane> {
  const directory = await mkdtemp(join(tmpdir(), "cofferdam-operated-"));
  const adminTokenFile = options.adminTokenFile ?? join(directory, "admin-token");
  const mirrors = join(directory, "mirrors");
  await mkdir(mirrors);
  const controlPlane = await openControlPlane({
    dataDirectory: join(directory, "data"),
    clock: systemClock,
    sources: gitSource({ directory: mirrors, localRepositories: true }),
    compile: compileWith({ find: async () => ({ found: false, reason: "no-such-orb" }) }),
    adminTokenFile,
    logLevel: "silent",
    ...options,
  });
  const { url } = await controlPlane.listen({ host: "127.0.0.1", port });
  const http = new FakeAgent({ url });
  return {
    controlPlane,
    directory,
    url,
    token: (await readFile(adminTokenFile, "utf8")).trim(),
    http,
    [Symbol.asyncDispose]: async () => {
      await http[Symbol.asyncDispose]();
      await controlPlane.close({ graceMs: 0 });
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A repository with one commit on `main` and a tag `v1`; answers its address. */
export async function repositoryIn(directory: string): Promise<{ url: string; revision: string }> {
  const place = join(directory, "repository");
  await mkdir(place);
  const git = async (...args: string[]): Promise<string> => {
    const who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
    return (await run("git", ["-C", place, ...who, ...args])).stdout.trim();
  };
  await git("init", "-q", "-b", "main");
  await writeFile(join(place, "file.txt"), "one\n");
  await git("add", ".");
  await git("commit", "-qm", "first");
  await git("tag", "-a", "v1", "-m", "first");
  return { url: `file://${place}`, revision: await git("rev-parse", "HEAD") };
}
