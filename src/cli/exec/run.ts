import { once } from "node:events";
import { resolve } from "node:path";
import type { NewPipeline } from "../../control-plane/control-plane.ts";
import { ControlPlaneError } from "../../control-plane/errors.ts";
import type { WatchEvent } from "../../protocol/watch.ts";
import { CommandError, type ExitCode, exitCode, type Io } from "../io.ts";
import { apply, emptyModel, type PipelineModel } from "./model.ts";
import type { ExecOptions } from "./options.ts";
import type { View } from "./render/view.ts";
import type { Session } from "./session.ts";
import { openSite, type Site } from "./site.ts";
import { verdict } from "./verdict.ts";

/** `cofferdam exec`: compile, start control plane and launch agent in this process, watch the pipeline, clean up. */
export async function runExec(options: ExecOptions, io: Io): Promise<ExitCode> {
  // The engine is looked for while the config is read and compiled: that makes nothing that would have to go.
  const giveUp = new AbortController();
  const opening = openSite({ env: io.env, signal: AbortSignal.any([io.interrupted, giveUp.signal]) });
  // It may fail while the config is still being read: that is told when it is waited for.
  opening.catch(() => {});
  try {
    // Loaded while the engine answers.
    const { preparePipeline, prewarm } = await import("./prepare.ts");
    const pipeline = await preparePipeline(options, io);
    if (!pipeline) return exitCode.usage;
    const site = await opening;
    await prewarm(site, pipeline);
    return await runOn(site, pipeline, { options, io });
  } catch (error) {
    if (io.interrupted.aborted && error instanceof CommandError) return exitCode.interrupted;
    if (error instanceof ControlPlaneError)
      throw new CommandError(`${error.message}.`, { exitCode: exitCode.usage, cause: error });
    throw error;
  } finally {
    giveUp.abort();
    await discard(opening);
  }
}

async function runOn(
  site: Site,
  pipeline: NewPipeline,
  { options, io }: { options: ExecOptions; io: Io },
): Promise<ExitCode> {
  const { openSession } = await import("./session.ts");
  const [{ chooseView }, { continuationCompiler }] = await Promise.all([
    import("./render/choose.ts"),
    import("./compile.ts"),
  ]);
  const session = await openSession({
    directory: resolve(io.cwd, options.directory),
    env: io.env,
    compile: continuationCompiler(options, io),
    site,
  });
  try {
    const { id } = await session.controlPlane.createPipeline(pipeline);
    const view = chooseView(options, io, (taskId, step) => session.controlPlane.stepOutput(taskId, step));
    return await follow({ id, session, options, io, view });
  } finally {
    await session[Symbol.asyncDispose]();
  }
}

/** What is wrong with the config comes first: an engine that is not there either is then no news. */
async function discard(opening: Promise<Site>): Promise<void> {
  const site = await opening.catch(() => undefined);
  await site?.[Symbol.asyncDispose]();
}

interface Run {
  id: string;
  session: Session;
  options: ExecOptions;
  io: Io;
  view: View & { wantsOutput: boolean };
}

async function follow({ id, session, options, io, view }: Run): Promise<ExitCode> {
  const { controlPlane } = session;
  const stepOutput = (taskId: string, step: number) => controlPlane.stepOutput(taskId, step);
  const model = emptyModel();
  const released = new Set<string>();
  const isShown = shortBacklog(io.interrupted);
  using _interrupt = cancelOnInterrupt({ id, session, view, io });
  try {
    for await (const event of controlPlane.watch(id, { signal: session.engineLost, output: view.wantsOutput })) {
      apply(model, event);
      if (isShown(event)) view.event(event, model);
      if (event.type === "workflow" || event.type === "job") tellWhatToPass(event, { model, view });
      await roomToWrite(io);
      if (onlyHoldsAreLeft(model)) await releaseHolds({ id, model, session, options, view, released });
    }
  } catch (error) {
    if (!session.engineLost.aborted) throw error;
    view.notice(`cofferdam: the engine is gone: ${String(session.engineLost.reason)}`);
  }
  await session.settle();
  await view.end(model, { artifactsDirectory: await session.artifactsDirectory(model.number), stepOutput });
  return verdict(model, { interrupted: io.interrupted.aborted, engineLost: session.engineLost.aborted });
}

/** A slow reader must not make us hold what it has not read: the store does. */
async function roomToWrite({ stdout, interrupted }: Io): Promise<void> {
  if (!stdout.writableNeedDrain || interrupted.aborted) return;
  await once(stdout, "drain", { signal: interrupted }).catch(() => undefined);
}

const mostAfterInterrupt = 1024 * 1024;

/** Who interrupts a flood of output does not want to see first all of it that is stored and not yet shown. */
function shortBacklog(interrupted: AbortSignal): (event: WatchEvent) => boolean {
  let left = mostAfterInterrupt;
  return (event) => {
    if (event.type !== "output" || !interrupted.aborted) return true;
    left -= event.data.length;
    return left > 0;
  };
}

/** What one's own run needs so that it does what it does on CircleCI. */
function tellWhatToPass(
  { type, id, status, reason = "" }: Extract<WatchEvent, { type: "workflow" | "job" }>,
  { model, view }: { model: PipelineModel; view: View },
): void {
  if (type === "workflow" && status === "not_run" && reason !== "")
    view.notice(`workflow ${model.workflows.get(id)?.name} is not run: ${reason}`);
  if (type === "job" && status === "unauthorized")
    view.notice(`${model.jobs.get(id)?.name}: ${reason}. Pass its variables with --context-file NAME=FILE`);
}

/** The first signal cancels politely; the second does not wait for steps to end. */
function cancelOnInterrupt({ id, session, view, io }: Omit<Run, "options"> & { view: View }): Disposable {
  const scope = new AbortController();
  const cancel = () => {
    view.notice("canceling; once more to hurry");
    void session.controlPlane.cancelPipeline(id, "interrupted from the keyboard");
  };
  if (io.interrupted.aborted) cancel();
  else io.interrupted.addEventListener("abort", cancel, { signal: scope.signal, once: true });
  io.hurried.addEventListener("abort", () => session.hurry(), { signal: scope.signal, once: true });
  return { [Symbol.dispose]: () => scope.abort() };
}

function onlyHoldsAreLeft(model: PipelineModel): boolean {
  const statuses = new Set([...model.jobs.values()].map((job) => job.status));
  return statuses.has("on_hold") && !statuses.has("queued") && !statuses.has("running");
}

/** Nobody is there to approve: what --approve names goes on, and otherwise the run ends here, with that said. */
async function releaseHolds(
  run: Omit<Run, "io"> & { model: PipelineModel; view: View; released: Set<string> },
): Promise<void> {
  const { id, model, session, options, view, released } = run;
  const held = [...model.jobs.values()].filter((job) => job.status === "on_hold" && !released.has(job.id));
  const approved = held.filter((job) => options.approve.includes(job.name) || options.approve.includes("all"));
  for (const job of held) released.add(job.id);
  for (const job of approved) await session.controlPlane.approve(job.id, "exec --approve");
  if (approved.length > 0 || held.length === 0) return;
  const names = held.map((job) => job.name);
  view.notice(`waiting for approval: ${names.join(", ")}. To go on from there: --approve ${names[0] ?? "all"}`);
  await session.controlPlane.cancelPipeline(id, "needs an approval, see --approve");
}
