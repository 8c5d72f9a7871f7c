import { once } from "node:events";
import { systemClock } from "../../lib/clock.ts";
import { operatorApi, WatchLine } from "../../protocol/operator-api.ts";
import type { WatchEvent } from "../../protocol/watch.ts";
import { apply, emptyModel, type PipelineModel } from "../exec/model.ts";
import { jsonView } from "../exec/render/json.ts";
import { plainView } from "../exec/render/plain.ts";
import { styler } from "../exec/render/text.ts";
import type { View } from "../exec/render/view.ts";
import { verdict } from "../exec/verdict.ts";
import type { Host } from "../host/client.ts";
import { HostUnreachable } from "../host/errors.ts";
import { type ExitCode, exitCode, type Io } from "../io.ts";

/** A control plane that is started again, or moved, is back within this. */
const patienceMs = 10 * 60_000;
const firstPauseMs = 500;
const longestPauseMs = 5_000;

export interface Following {
  io: Io;
  json: boolean;
}

/** Shows a pipeline from its start to its end, over any number of connections. Throws CommandError where the first one is refused. */
export async function followPipeline(host: Host, pipeline: string, { io, json }: Following): Promise<ExitCode> {
  const view = viewOf(io, json);
  const model = emptyModel();
  try {
    for await (const event of eventsOf(host, pipeline, { view, interrupted: io.interrupted })) {
      apply(model, event);
      view.event(event, model);
      if (event.type === "job" && event.status === "on_hold") tellHowToApprove(view, model, event.id);
      await roomToWrite(io);
    }
  } catch (error) {
    if (!io.interrupted.aborted) throw error;
    const number = model.number || pipeline;
    io.stderr.write(
      `pipeline ${number} runs on. To see it: cofferdam follow ${number}; to end it: cofferdam cancel ${number}\n`,
    );
    return exitCode.interrupted;
  }
  await view.end(model, { artifactsDirectory: undefined, stepOutput: async function* () {} });
  return verdict(model, { interrupted: false, engineLost: false });
}

function viewOf({ stdout, env }: Io, json: boolean): View {
  if (json) return jsonView(stdout);
  const colours = env["NO_COLOR"] ? false : stdout.isTTY === true || Boolean(env["FORCE_COLOR"]);
  return plainView({ stdout, style: styler(colours), colours, tail: undefined });
}

function tellHowToApprove(view: View, model: PipelineModel, id: string): void {
  const name = model.jobs.get(id)?.name ?? id;
  view.notice(`${name} waits for approval. To let it pass: cofferdam approve ${model.number} ${name}`);
}

async function* eventsOf(
  host: Host,
  pipeline: string,
  { view, interrupted }: { view: View; interrupted: AbortSignal },
): AsyncGenerator<WatchEvent, void, undefined> {
  const path = operatorApi.watch(encodeURIComponent(pipeline));
  let after: number | undefined;
  let heardMs = systemClock.monotonic();
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      for await (const line of host.lines(path, { after: String(after ?? 0) })) {
        heardMs = systemClock.monotonic();
        pauseMs = firstPauseMs;
        const told = line === "" ? undefined : read(line, host);
        if (!told) continue;
        after = told.seq;
        yield told.event;
        if (told.event.type === "pipeline-ended") return;
      }
      throw new HostUnreachable(`${host.url} broke the connection off`);
    } catch (error) {
      const isPatient = after !== undefined && systemClock.monotonic() - heardMs < patienceMs;
      if (!(error instanceof HostUnreachable) || !isPatient) throw error;
      if (pauseMs === longestPauseMs / 5) view.notice(`${error.message}. Trying again`);
    }
    await systemClock.sleep(pauseMs, interrupted);
  }
}

function read(line: string, host: Host): WatchLine {
  try {
    return WatchLine.parse(JSON.parse(line));
  } catch (cause) {
    throw new HostUnreachable(`${host.url} sends what cannot be read: is it of another version?`, cause);
  }
}

/** A slow reader must not make us hold what it has not read: the control plane does. */
async function roomToWrite({ stdout, interrupted }: Io): Promise<void> {
  if (!stdout.writableNeedDrain || interrupted.aborted) return;
  await once(stdout, "drain", { signal: interrupted }).catch(() => undefined);
}
