import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { Engine, EngineInfo } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import { startLaunchAgent } from "../agent.ts";
import { pathOnEngineDisk } from "../disk/space.ts";
import { createMetrics } from "../health/metrics.ts";
import { readiness } from "../health/readiness.ts";
import { serveHealth } from "../health/server.ts";
import type { Ending, LaunchAgent } from "../launch-agent.ts";
import { Redactor, secretsOfTask } from "../logging/redactor.ts";
import { capacityOf, diskOf, modesOf, type Options, policyOf, poolOf, sandboxesOf } from "../options.ts";
import { scopeOf } from "../plan/owner.ts";
import { exitCode } from "../settings/exit-codes.ts";
import { hostFiles } from "../settings/files.ts";
import { type Problems, readSettings, type Settings } from "../settings/settings.ts";
import { check } from "./check.ts";
import {
  addressOf,
  askEngine,
  engineAddressOf,
  firstToken,
  helperLabels,
  imageRulesOf,
  nameOf,
  noticesOf,
  openEngine,
  openLog,
} from "./collaborators.ts";
import { Fatal } from "./fatal.ts";
import { openOwnImage } from "./own-image.ts";
import { obeySignals, type SignalSource } from "./signals.ts";
import { watchedEngine } from "./watched-engine.ts";

export interface World {
  environment: Readonly<Record<string, string | undefined>>;
  signals: SignalSource;
  version: string;
  tell: (text: string) => void;
}

/** How long tokens that somebody else writes are waited for. */
const tokensMayComeMs = 60_000;
const lookAgainMs = 500;
/** Beyond a task's own grace: a second signal is to be through within 15 s. */
const cancelSlackMs = 3_000;

/** One launch agent, from its settings to its end. Resolves with the exit code. */
export async function runProgram(
  command: { kind: "run" | "check"; configFile?: string },
  world: World,
): Promise<number> {
  try {
    const settings = await waitForSettings(command.configFile, world);
    return command.kind === "check" ? await check(settings, world) : await run(settings, world);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    for (const line of message.split("\n")) world.tell(`launch agent: ${line}\n`);
    return error instanceof Fatal ? error.code : exitCode.failed;
  }
}

async function waitForSettings(configFile: string | undefined, world: World): Promise<Settings> {
  const giveUpAtMs = systemClock.monotonic() + tokensMayComeMs;
  const file = configFile === undefined ? {} : { configFile };
  let told = false;
  for (;;) {
    const read: Settings | Problems = await readSettings({ environment: world.environment, files: hostFiles, ...file });
    if (!("problems" in read)) return read;
    if (!read.mayCome || systemClock.monotonic() > giveUpAtMs)
      throw new Fatal(exitCode.settings, read.problems.join("\n"));
    if (!told) world.tell(`launch agent: waiting for tokens: ${read.problems.join("; ")}\n`);
    told = true;
    await systemClock.sleep(lookAgainMs);
  }
}

async function run(settings: Settings, world: World): Promise<number> {
  const { options, classes, notices } = settings;
  const redactor = new Redactor();
  redactor.add(classes.map(({ token }) => token.reveal()));
  const { log, close } = openLog(options, redactor);
  for (const notice of notices) log.warn({}, notice);
  let agent: LaunchAgent | undefined;
  const metrics = createMetrics({ version: world.version, status: () => agent?.status() });
  const name = nameOf(options);
  const session = randomUUID();
  const owner = { name, scope: scopeOf(options.CIRCLECI_RUNNER_API_URL), classes };
  const labels = () => helperLabels(owner, session);
  const engine = watchedEngine(openEngine(options, labels), (code) => metrics.onEngineError(code));
  const engineInfo = await askEngine(engine);
  for (const notice of noticesOf(engineInfo)) log.warn({ engine: engineInfo.kind }, notice);
  const api = { ...(await addressOf(options)), token: firstToken(settings) };
  const own = openOwnImage({ ...world, options, api, engine, engineAddress: engineAddressOf(options), log });
  await own.takePlaceOfPredecessor();
  const started = startLaunchAgent({
    ...owner,
    api,
    engine,
    engineInfo,
    session,
    hostname: hostname(),
    version: world.version,
    ...(await agentOptionsOf(options, engineInfo)),
    clock: systemClock,
    newId: randomUUID,
    log,
    onEvent: (event) => metrics.onEvent(event),
    guard: (task) => redactor.add(secretsOfTask(task)),
    times: { cancelSlackMs },
  });
  agent = started;
  obeySignals(world.signals, started, log);
  const health = await openHealth(options, { agent: started, engine, metrics: async () => await metrics.text() });
  if (health) log.info({ address: health.address }, "serving health and metrics");
  await own.followReleases(started);
  await started.closed;
  await own.close();
  await health?.close();
  const { ending } = started.status();
  log.info({ ending }, "launch agent ended");
  close();
  return codeOf(ending);
}

/** What the settings say of tasks and their containers. */
async function agentOptionsOf(options: Options, engineInfo: EngineInfo) {
  const isHere = options.DOCKER_HOST.startsWith("unix:");
  const path = options.COFFERDAM_DISK_PATH ?? (isHere ? await pathOnEngineDisk(engineInfo.dataDirectory) : undefined);
  return {
    capacity: capacityOf(options, engineInfo),
    pool: poolOf(options, engineInfo),
    sandboxes: sandboxesOf(options, engineInfo),
    modes: modesOf(options),
    policy: policyOf(options),
    images: imageRulesOf(options),
    disk: diskOf(options, path),
    taskAgentImage: options.COFFERDAM_TASK_AGENT_IMAGE,
  };
}

async function openHealth(
  options: Options,
  { agent, engine, metrics }: { agent: LaunchAgent; engine: Engine; metrics: () => Promise<string> },
) {
  const address = options.COFFERDAM_HEALTH_ADDRESS;
  if (address === "none") return undefined;
  const ready = readiness({ status: () => agent.status(), engine, clock: systemClock });
  try {
    return await serveHealth({ address, ready, metrics });
  } catch (cause) {
    void agent.stop("the health address cannot be had");
    await agent.stop("hurry");
    throw new Fatal(exitCode.settings, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function codeOf(ending: Ending | undefined): number {
  if (ending === "stopped") return exitCode.canceled;
  if (ending === "refused") return exitCode.refused;
  // Closed though nobody asked for it: the engine cannot be used.
  return ending === undefined ? exitCode.engine : exitCode.done;
}
