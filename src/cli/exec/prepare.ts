import type { CompiledConfig } from "../../config/compiled.ts";
import type { NewPipeline } from "../../control-plane/control-plane.ts";
import { firstContainers } from "../../control-plane/pipelines/first-containers.ts";
import { systemClock } from "../../lib/clock.ts";
import { CommandError, exitCode, type Io } from "../io.ts";
import { routeLocally } from "./classes.ts";
import { compileProject, givenParameters } from "./compile.ts";
import { readContexts } from "./contexts.ts";
import type { ExecOptions } from "./options.ts";
import { type LocalProject, readProject } from "./project.ts";
import { queueOf, type Site } from "./site.ts";

/** The pipeline that is to run. Undefined when the config has errors, which have been told then. */
export async function preparePipeline(options: ExecOptions, io: Io): Promise<NewPipeline | undefined> {
  const prepared = await prepare(options, io);
  return prepared && (await newPipeline(prepared, { options, io }));
}

/** Loading goes on after this, whether or not the engine has been told: it may be slow. */
const mostPrewarmMs = 500;

/** Has the engine make the first containers, while all that is not needed for them is still to be loaded here. */
export async function prewarm({ laid, name, info }: Site, pipeline: NewPipeline): Promise<void> {
  const route = routeLocally(queueOf(name), info);
  const first = firstContainers(pipeline, { route, most: info.cpus });
  const sent = Promise.all(first.map(async (container) => await laid.pool.prewarm(container)));
  const done = new AbortController();
  await Promise.race([sent, systemClock.sleep(mostPrewarmMs, done.signal).catch(() => undefined)]);
  done.abort();
}

async function prepare(options: ExecOptions, io: Io): Promise<Prepared | undefined> {
  const [project, contexts] = await Promise.all([readProject(options, io), readContexts(options.contextFile, io)]);
  const compiled = await compileProject(project, options, io);
  if (!compiled) return undefined;
  // What a setup config goes on with has the workflows that are meant.
  if (!compiled.setup) checkSelection(options, Object.keys(compiled.workflows));
  return { project, compiled, contexts };
}

async function newPipeline(
  { project, compiled, contexts }: Prepared,
  { options, io }: { options: ExecOptions; io: Io },
): Promise<NewPipeline> {
  return {
    project: { slug: project.slug, name: project.name },
    config: compiled,
    source: project.configText,
    vcs: project.vcs,
    trigger: { type: "exec", actor: io.env["USER"] ?? "local" },
    only: {
      ...(options.workflow !== undefined && { workflow: options.workflow }),
      ...(options.job !== undefined && { job: options.job }),
    },
    environment: options.env,
    secretNames: Object.keys(options.env),
    contexts,
    parameters: await givenParameters(project, options),
  };
}

interface Prepared {
  project: LocalProject;
  compiled: CompiledConfig;
  contexts: Record<string, Record<string, string>>;
}

function checkSelection(options: ExecOptions, workflows: string[]): void {
  if (options.workflow === undefined || workflows.includes(options.workflow)) return;
  throw new CommandError(
    `there is no workflow "${options.workflow}" that would run. Workflows: ${workflows.join(", ") || "none"}.`,
    { exitCode: exitCode.usage },
  );
}
