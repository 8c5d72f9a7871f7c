import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { withoutCredentials } from "../../lib/credentials.ts";
import { CommandError, exitCode, type Io } from "../io.ts";

const run = promisify(execFile);

/** The directory that is to be run, as far as it tells about itself. */
export interface LocalProject {
  directory: string;
  /** As it is shown in messages. */
  configFile: string;
  configText: string;
  vcs: { branch?: string; tag?: string; revision?: string; url?: string };
  slug: string;
  name: string;
}

export async function readProject(options: { directory: string; config?: string }, io: Io): Promise<LocalProject> {
  const directory = resolve(io.cwd, options.directory);
  const [config, vcs] = await Promise.all([readConfig(directory, options.config, io), readVcs(directory, io.env)]);
  const name = basename(directory) || "root";
  return { directory, ...config, vcs, slug: `local/${directory}`, name };
}

async function readConfig(
  directory: string,
  config: string | undefined,
  io: Io,
): Promise<{ configFile: string; configText: string }> {
  if (config === "-") return { configFile: "<stdin>", configText: await text(io.stdin) };
  const configFile = config === undefined ? join(directory, ".circleci", "config.yml") : resolve(io.cwd, config);
  try {
    return { configFile, configText: await readFile(configFile, "utf8") };
  } catch (cause) {
    throw new CommandError(
      `no config at ${configFile} (${cause instanceof Error ? cause.message : String(cause)}).\n` +
        "Give the project's directory, as in `cofferdam exec DIR`, or another file with --config FILE.",
      { exitCode: exitCode.usage, cause },
    );
  }
}

/** What git knows of the directory; nothing where there is no repository, no commit or no git. */
async function readVcs(directory: string, env: Io["env"]): Promise<LocalProject["vcs"]> {
  // Four processes that would find nothing take longer than all the rest of what is done before the first container.
  if (env["GIT_DIR"] === undefined && !(await isInRepository(directory))) return {};
  const git = async (...args: string[]) => {
    try {
      const { stdout } = await run("git", ["-C", directory, ...args]);
      return stdout.trim() || undefined;
    } catch {
      return undefined;
    }
  };
  const [branch, revision, url] = await Promise.all([
    git("symbolic-ref", "--quiet", "--short", "HEAD"),
    git("rev-parse", "--verify", "--quiet", "HEAD"),
    git("config", "--get", "remote.origin.url"),
  ]);
  // As in a push: it is of a branch or of a tag, never of both.
  const tag = branch ? undefined : await git("describe", "--tags", "--exact-match", "HEAD");
  return {
    ...(branch && { branch }),
    ...(revision && { revision }),
    ...(tag && { tag }),
    ...(url && { url: withoutCredentials(url) }),
  };
}

/** Whether git may find a repository from here: it looks for `.git`, a folder or a file, upwards. A bare one has HEAD itself. */
async function isInRepository(directory: string): Promise<boolean> {
  for (let at = directory; ; at = dirname(at)) {
    for (const name of [".git", "HEAD"])
      if ((await stat(join(at, name)).catch(() => undefined)) !== undefined) return true;
    if (dirname(at) === at) return false;
  }
}
