import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { withoutCredentials } from "../../lib/credentials.ts";
import { listTree, packTree } from "../../lib/tree-archive.ts";
import type { NewPipeline, SourceProvider, SourceRequest } from "../control-plane.ts";
import { ControlPlaneError } from "../errors.ts";
import { git } from "./git.ts";

export interface GitSourceOptions {
  /** Keeps a mirror of every repository, so that a checkout fetches only what is new. */
  directory: string;
  /** `file://` addresses, too. Off where pipelines come from others: the control plane's own disk is not theirs to read. */
  localRepositories?: boolean;
}

const remote = /^(https?|ssh|git):\/\/|^[\w.-]+@[\w.-]+:/;

/**
 * Trees from git remotes. The control plane clones and the agents carry the bytes, so that a task needs neither git, nor
 * network, nor credentials in order to have its checkout.
 *
 * `blobless` is answered with the whole history, which is more than was asked for: the missing part of a blobless clone could
 * only be fetched by the task itself. `shallow` has `depth` commits, 1 when not given.
 */
export function gitSource(options: GitSourceOptions): SourceProvider {
  const fetching = new Map<string, Promise<void>>();
  const local = options.localRepositories ?? false;
  return {
    locate: (wanted, signal) => locate(repositoryOf({ vcs: wanted }, local), wanted, signal),
    async open(request) {
      const url = repositoryOf(request, local);
      const mirror = join(options.directory, `${createHash("sha256").update(url).digest("hex").slice(0, 32)}.git`);
      await oneAtATime(fetching, mirror, () => updateMirror({ url, mirror, request }));
      const clone = await mkdtemp(join(options.directory, "checkout-"));
      try {
        await checkOut({ url, mirror, clone, request });
      } catch (error) {
        await rm(clone, { recursive: true, force: true });
        throw error;
      }
      return removedAfter(
        packTree(clone, () => listTree(clone), request.signal),
        clone,
      );
    },
  };
}

function repositoryOf({ vcs }: Pick<SourceRequest, "vcs">, local: boolean): string {
  const { url } = vcs;
  if (!url) throw new ControlPlaneError("bad-request", "the pipeline has no repository: checkout has nowhere to go to");
  if (!remote.test(url) && !(local && url.startsWith("file://")))
    throw new ControlPlaneError(
      "bad-request",
      `"${withoutCredentials(url)}" is no address of a repository: https, ssh and git are`,
    );
  return url;
}

const askMs = 30_000;

/** Asks the remote alone; nothing is fetched. */
async function locate(
  url: string,
  { branch, tag }: { branch?: string; tag?: string },
  signal: AbortSignal,
): Promise<NewPipeline["vcs"] & { url: string; revision: string }> {
  const ref = tag !== undefined ? `refs/tags/${tag}` : branch !== undefined ? `refs/heads/${branch}` : "HEAD";
  const limited = AbortSignal.any([signal, AbortSignal.timeout(askMs)]);
  const what = `ask ${url} for ${ref}`;
  // Of an annotated tag the commit is wanted, which has the same name with ^{} behind it.
  const answer = await git(["ls-remote", "--symref", "--", url, ref, `${ref}^{}`], { what, signal: limited }).catch(
    (cause: unknown) => {
      signal.throwIfAborted();
      if (!limited.aborted) throw cause;
      throw new ControlPlaneError("unavailable", `${withoutCredentials(url)} did not answer within ${askMs / 1000} s`);
    },
  );
  const found = new Map(answer.split("\n").map((line) => line.split("\t").toReversed() as [string, string]));
  const revision = found.get(`${ref}^{}`) ?? found.get(ref);
  const head = /^ref: refs\/heads\/(\S+)\tHEAD$/m.exec(answer)?.[1];
  if (revision === undefined || !/^[0-9a-f]{40,64}$/.test(revision))
    throw new ControlPlaneError("not-found", `there is no ${ref} in ${withoutCredentials(url)}. Has it been pushed?`);
  if (tag !== undefined) return { url, tag, revision };
  const name = branch ?? head;
  return { url, ...(name === undefined ? {} : { branch: name }), revision };
}

interface Fetch {
  url: string;
  mirror: string;
  request: SourceRequest;
}

async function updateMirror({ url, mirror, request }: Fetch): Promise<void> {
  const { signal, vcs } = request;
  const what = `fetch ${url}`;
  await mkdir(mirror, { recursive: true, mode: 0o700 });
  await git(["init", "--quiet", "--bare", "--", mirror], { what, signal });
  if (vcs.revision && (await has(mirror, vcs.revision, signal))) return;
  const refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];
  await git(["fetch", "--quiet", "--prune", "--no-auto-gc", "--", url, ...refs], { what, signal, cwd: mirror });
}

async function has(mirror: string, revision: string, signal: AbortSignal): Promise<boolean> {
  return await git(["cat-file", "-e", "--end-of-options", `${revision}^{commit}`], {
    what: "look",
    signal,
    cwd: mirror,
  }).then(
    () => true,
    () => false,
  );
}

async function checkOut({ url, mirror, clone, request }: Fetch & { clone: string }): Promise<void> {
  const { vcs, method, depth, signal } = request;
  const revision = await resolve(url, mirror, request);
  const what = `check out ${revision} of ${url}`;
  const run = async (...args: string[]) => await git(args, { what, signal, cwd: clone });
  await run("init", "--quiet");
  const shallow = method === "shallow" ? [`--depth=${depth ?? 1}`] : [];
  const wanted =
    method === "shallow" ? [revision] : ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
  await run(
    "-c",
    "uploadpack.allowAnySHA1InWant=true",
    "fetch",
    "--quiet",
    ...shallow,
    "--",
    `file://${mirror}`,
    ...wanted,
  );
  await run("remote", "add", "origin", "--", withoutCredentials(url));
  if (vcs.branch && !vcs.tag) await run("checkout", "--quiet", "-B", vcs.branch, revision);
  else await run("checkout", "--quiet", "--detach", revision);
}

/** The commit that a pipeline is about; the head of its branch or tag where it names none. */
async function resolve(url: string, mirror: string, { vcs, signal }: SourceRequest): Promise<string> {
  const name = vcs.revision ?? (vcs.tag ? `refs/tags/${vcs.tag}` : vcs.branch ? `refs/heads/${vcs.branch}` : "HEAD");
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`];
  try {
    return await git(args, { what: `find ${name}`, signal, cwd: mirror });
  } catch (cause) {
    signal.throwIfAborted();
    // It has just been fetched: another try finds nothing either.
    const place = withoutCredentials(url);
    throw new ControlPlaneError("not-found", `there is no ${name} in ${place}. Has it been pushed?`, { cause });
  }
}

async function oneAtATime(running: Map<string, Promise<void>>, key: string, work: () => Promise<void>): Promise<void> {
  const before = running.get(key) ?? Promise.resolve();
  const mine = before.catch(() => {}).then(work);
  running.set(key, mine);
  try {
    await mine;
  } finally {
    if (running.get(key) === mine) running.delete(key);
  }
}

function removedAfter(stream: Readable, directory: string): Readable {
  stream.once("close", () => void rm(directory, { recursive: true, force: true }));
  return stream;
}
