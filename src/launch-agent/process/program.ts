import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { createDockerEngine, type EngineAddress, engineAddresses } from "../../engine/docker/index.ts";
import { type Engine, type EngineInfo, isEngineError } from "../../engine/engine.ts";
import { systemClock } from "../../lib/clock.ts";
import { type Ending, type LaunchAgent, startLaunchAgent } from "../agent.ts";
import { AgentApi } from "../api/client.ts";
import { specialConnection } from "../api/connection.ts";
import type { ApiAddress } from "../api/http.ts";
import { pathOnEngineDisk } from "../disk/space.ts";
import { createMetrics } from "../health/metrics.ts";
import { readiness } from "../health/readiness.ts";
import { serveHealth } from "../health/server.ts";
import { AllowList } from "../images/allow-list.ts";
import type { ImageRules } from "../images/image-store.ts";
import { readDockerAuthConfig } from "../images/registry-auth.ts";
import { createLog } from "../logging/create-log.ts";
import { Redactor, secretsOfTask } from "../logging/redactor.ts";
import { capacityOf, diskOf, modesOf, type Options, policyOf, poolOf, sandboxesOf } from "../options.ts";
import { label, type Role } from "../plan/labels.ts";
import { exitCode } from "../settings/exit-codes.ts";
import { hostFiles } from "../settings/files.ts";
import { ownName } from "../settings/own-name.ts";
import { type Problems, readSettings, type Settings } from "../settings/settings.ts";
import { openOwnImage } from "./own-image.ts";
import { obeySignals, type SignalSource } from "./signals.ts";
import { watchedEngine } from "./watched-engine.ts";

export interface World {
  environment: Readonly<Record<string, string | undefined>>;
  signals: SignalSource;
  version: string;
  tell: (text: string) => void;
}

/** Something that ends the process, with its words and its code. */
class Fatal extends Error {
  override name = "Fatal";
  readonly code: number;

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** How long tokens that somebody else writes are waited for. */
const tokensMayComeMs = 60_000;
const lookAgainMs = 500;
/** Beyond a task's own grace: a second signal is to be through within 15 s. */
const cancelSlackMs = 3_000;
const helperLifeMs = 600_000;

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
  const labels = () => helperLabels({ name, session });
  const engine = watchedEngine(openEngine(options, labels), (code) => metrics.onEngineError(code));
  const engineInfo = await askEngine(engine);
  const api = { ...(await addressOf(options)), token: firstToken(settings) };
  const { version, environment, signals } = world;
  const own = openOwnImage({
    options,
    api,
    engine,
    engineAddress: engineAddressOf(options),
    version,
    environment,
    signals,
    log,
  });
  await own.takePlaceOfPredecessor();
  const started = startLaunchAgent({
    api,
    classes,
    engine,
    engineInfo,
    name,
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

/** Settings, engine, control plane and tokens, without claiming anything. */
async function check({ options, classes, notices }: Settings, world: World): Promise<number> {
  for (const notice of notices) world.tell(`launch agent: ${notice}\n`);
  const info = await askEngine(openEngine(options));
  world.tell(
    `engine: ${info.kind} ${info.version}, ${info.cpus} cores, ${Math.round(info.memoryBytes / 1024 ** 2)} MiB\n`,
  );
  const address = await addressOf(options);
  const api = new AgentApi({
    address,
    token: firstToken({ classes }),
    version: world.version,
    clock: systemClock,
    random: Math.random,
    timeoutMs: 10_000,
  });
  try {
    for (const { name, token } of classes) {
      const { resource_class } = await api.classOf(token, new AbortController().signal);
      if (name !== undefined && name !== resource_class)
        throw new Error(`the token of ${name} is one of ${resource_class}`);
      world.tell(`control plane: ${address.baseUrl} knows the token of ${resource_class}\n`);
    }
    return exitCode.done;
  } catch (cause) {
    throw new Fatal(exitCode.refused, cause instanceof Error ? cause.message : String(cause), { cause });
  } finally {
    await api.close();
  }
}

function openLog(options: Options, redactor: Redactor) {
  try {
    return createLog(options, redactor);
  } catch (cause) {
    const why = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    throw new Fatal(exitCode.settings, `CIRCLECI_RUNNER_LOGGING_FILE: cannot write it (${why})`, { cause });
  }
}

/** Helpers run for moments. One that is found later was left by a process that died. */
function helperLabels({ name, session }: { name: string; session: string }): Record<string, string> {
  return {
    [label.agent]: name,
    [label.session]: session,
    [label.role]: "helper" satisfies Role,
    [label.deadline]: String(systemClock.now() + helperLifeMs),
  };
}

function openEngine(options: Options, helperLabels: () => Record<string, string> = () => ({})): Engine {
  return createDockerEngine({ address: engineAddressOf(options), helperLabels });
}

function engineAddressOf(options: Options): EngineAddress {
  try {
    const [address] = engineAddresses({ dockerHost: options.DOCKER_HOST });
    if (!address) throw new RangeError("DOCKER_HOST: is not set");
    return address;
  } catch (cause) {
    throw new Fatal(exitCode.settings, cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

async function askEngine(engine: Engine): Promise<EngineInfo> {
  try {
    return await engine.info(new AbortController().signal);
  } catch (cause) {
    if (!isEngineError(cause)) throw cause;
    throw new Fatal(exitCode.engine, cause.message, { cause });
  }
}

async function addressOf(options: Options): Promise<ApiAddress> {
  const baseUrl = options.CIRCLECI_RUNNER_API_URL;
  const { COFFERDAM_CA_FILE: caFile, HTTPS_PROXY: https, HTTP_PROXY: http, NO_PROXY: not } = options;
  const ca = caFile === undefined ? {} : { ca: certificates(caFile) };
  return { baseUrl, connection: await specialConnection({ baseUrl, proxies: { https, http, not }, ...ca }) };
}

function imageRulesOf(options: Options): ImageRules {
  const { COFFERDAM_POLICY_IMAGES: patterns, DOCKER_AUTH_CONFIG: text } = options;
  const read = text === undefined ? undefined : readDockerAuthConfig(text);
  if (read && "problem" in read) throw new Fatal(exitCode.settings, `DOCKER_AUTH_CONFIG: ${read.problem}`);
  const allowed = patterns ? { allowed: new AllowList("operator of this host", patterns) } : {};
  return { ...read, ...allowed, marks: true };
}

function certificates(file: string): string {
  try {
    const pem = hostFiles.read(file);
    if (!pem.includes("-----BEGIN CERTIFICATE-----")) throw new Error(`there is no certificate in ${file}`);
    return pem;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fatal(exitCode.settings, `COFFERDAM_CA_FILE: ${why}`, { cause });
  }
}

function firstToken({ classes: [first] }: Pick<Settings, "classes">) {
  if (!first) throw new Fatal(exitCode.settings, "no resource class");
  return first.token;
}

function nameOf(options: Options): string {
  return options.CIRCLECI_RUNNER_NAME ?? ownName({ hostname: hostname(), mountInfo: mountInfo() });
}

function mountInfo(): string {
  try {
    return readFileSync("/proc/self/mountinfo", "utf8");
  } catch {
    return "";
  }
}

function codeOf(ending: Ending | undefined): number {
  if (ending === "stopped") return exitCode.canceled;
  if (ending === "refused") return exitCode.refused;
  // Closed though nobody asked for it: the engine cannot be used.
  return ending === undefined ? exitCode.engine : exitCode.done;
}
