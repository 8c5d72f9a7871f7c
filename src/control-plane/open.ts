import { randomUUID } from "node:crypto";
import type { FastifyBaseLogger } from "fastify";
import { AgentRegister } from "./agents/register.ts";
import { ensureAdminToken } from "./auth/admin-token.ts";
import { listArtifacts } from "./blobs/artifacts.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import { openBlobDirectory } from "./blobs/directory.ts";
import { bootstrap } from "./classes/bootstrap.ts";
import { createToken, putClass } from "./classes/classes.ts";
import type { Context } from "./context.ts";
import type { ControlPlane, ControlPlaneOptions } from "./control-plane.ts";
import { ControlPlaneError } from "./errors.ts";
import { createServer, listen } from "./http/server.ts";
import { type Certificate, CertificateReloader, readCertificate } from "./http/tls.ts";
import { Notifier } from "./notifier.ts";
import { approveJob, cancelPipeline } from "./pipelines/commands.ts";
import { createPipeline } from "./pipelines/create.ts";
import { expireLockWaits } from "./pipelines/expire-lock-waits.ts";
import { startSchedules } from "./pipelines/start-schedules.ts";
import { defaultLeaseMs, expireLeases, refreshLeases } from "./queue/leases.ts";
import { QueueWaiters, queueOfTopic, watchForForeignNews } from "./queue/queue.ts";
import { retireClass } from "./queue/retire.ts";
import { readOutputOfTask } from "./records/output.ts";
import { prune, pruneNowAndThen } from "./retention/prune.ts";
import { classesWithPrefix } from "./store/access.ts";
import { openStore } from "./store/store.ts";
import { watchPipeline } from "./watch/watch.ts";

const cutOffIntervalMs = 20;

/** Opens the data directory, and gives running tasks of an earlier control plane a new lease. Throws when it cannot be used. */
export async function openControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const notifier = new Notifier(options.clock);
  const waiters = new QueueWaiters();
  const store = await openStore({
    directory: options.dataDirectory,
    ...(options.database ? { database: options.database } : {}),
    clock: options.clock,
    onCommit: (topic, count) => {
      const queue = queueOfTopic(topic);
      if (queue === undefined) notifier.tell(topic);
      else waiters.wake(queue, count);
    },
  });
  const closing = new AbortController();
  const context = await contextOf(options, { store, notifier, closing: closing.signal });
  const { clock, tls } = options;
  if (options.adminTokenFile !== undefined) await ensureAdminToken(options.adminTokenFile, context);
  if (options.bootstrap) await bootstrap(context, options.bootstrap);
  await refreshLeases(context);
  const certificate = tls && readCertificate(tls);
  const server = createServer(context, waiters, { logLevel: options.logLevel ?? "warn", certificate });
  const { log } = server;
  const reloader = certificate && new CertificateReloader({ files: tls, clock, log, use: useOf(server) }, certificate);
  const background = startBackground(context, waiters, log);
  const { retention } = options;
  if (retention) background.push(untilClosed(context, () => pruneNowAndThen(context, retention, context.closing), log));
  if (reloader) background.push(untilClosed(context, () => reloader.watch(context.closing), log));
  return {
    listen: (address) => listen(server, address),
    reloadCertificate: () => reloader?.reload(),
    putResourceClass: async (resourceClass) => void (await putClass(context, resourceClass)),
    createToken: async (resourceClass, nickname) => (await createToken(context, resourceClass, nickname)).token,
    createPipeline: (pipeline) => createPipeline(context, pipeline),
    watch: (pipelineId, watching) => watchPipeline(context, pipelineId, watching),
    cancelPipeline: (pipelineId, reason) => cancelPipeline(context, pipelineId, reason),
    approve: (jobId, by) => approveJob(context, jobId, by),
    artifacts: (pipelineId) => listArtifacts(context, pipelineId),
    stepOutput: (taskId, step) => readOutputOfTask(store.db, taskId, step),
    resourceClasses: (prefix) => classesWithPrefix(store.db, prefix),
    retireResourceClass: (name, reason) => retireClass(context, name, reason),
    prune: (retention, signal) => prune(context, retention, signal),
    close: async ({ graceMs }) => {
      closing.abort(new ControlPlaneError("unavailable", "the control plane is closing"));
      await closeServer(server, clock, graceMs);
      await Promise.all(background);
      await context.blobs.close();
      await store.close();
    },
  };
}

async function openBlobs({ bucket, dataDirectory, clock }: ControlPlaneOptions): Promise<BlobStore> {
  if (!bucket) return await openBlobDirectory(dataDirectory);
  // Loaded only where it is used: it is larger than all the rest.
  const { openBucket } = await import("./blobs/s3.ts");
  return await openBucket(bucket, clock);
}

async function contextOf(
  options: ControlPlaneOptions,
  own: Pick<Context, "store" | "notifier" | "closing">,
): Promise<Context> {
  const { route, compile, orbs } = options;
  return {
    ...own,
    agents: new AgentRegister({ store: own.store, clock: options.clock }),
    blobs: await openBlobs(options),
    clock: options.clock,
    newId: randomUUID,
    ...(route ? { route } : {}),
    defaultClass: options.defaultClass,
    launchAgentImage: options.launchAgentImage,
    sources: options.sources,
    ...(compile ? { compile } : {}),
    ...(orbs ? { orbs } : {}),
    leaseMs: options.leaseMs ?? defaultLeaseMs,
    schedules: options.schedules ?? false,
  };
}

function useOf({ server }: ReturnType<typeof createServer>): (certificate: Certificate) => void {
  return (certificate) => {
    if ("setSecureContext" in server && typeof server.setSecureContext === "function")
      server.setSecureContext(certificate);
  };
}

function startBackground(context: Context, waiters: QueueWaiters, log: FastifyBaseLogger): Promise<void>[] {
  const { closing } = context;
  const loops = [
    () => expireLeases(context, closing),
    () => expireLockWaits(context, closing),
    () => context.agents.keep(closing, log),
    () => watchForForeignNews(context, waiters, closing),
    ...(context.schedules ? [() => startSchedules(context, closing, log)] : []),
  ];
  return loops.map((loop) => untilClosed(context, loop, log));
}

/** Keeps a loop going: what fails once (a busy disk) may work the next time. */
async function untilClosed(
  { clock, closing }: Context,
  loop: () => Promise<void>,
  log: FastifyBaseLogger,
): Promise<void> {
  while (!closing.aborted) {
    try {
      await loop();
    } catch (error) {
      if (closing.aborted) return;
      log.error({ err: error }, "background work failed; going on");
      await clock.sleep(1_000, closing).catch(() => undefined);
    }
  }
}

/** Lets running calls finish for a while, then cuts off whoever is still there, or comes yet. */
async function closeServer(
  server: ReturnType<typeof createServer>,
  clock: ControlPlaneOptions["clock"],
  graceMs: number,
): Promise<void> {
  const closed = new AbortController();
  const cutOff = async (): Promise<void> => {
    for (let pauseMs = graceMs; ; pauseMs = cutOffIntervalMs) {
      await clock.sleep(pauseMs, closed.signal);
      server.server.closeAllConnections();
    }
  };
  const cuttingOff = cutOff().catch(() => undefined);
  await server.close();
  closed.abort();
  await cuttingOff;
}
