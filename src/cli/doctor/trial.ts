import type { ContainerPlan, Engine } from "../../engine/engine.ts";
import type { Finding } from "../../engine/fitness/assess.ts";

const mebibyte = 1024 ** 2;

/** Whether the engine takes a container as tasks have them: limited, without capabilities, with our seccomp profile, read-only. */
export async function assessTrial(
  engine: Engine,
  { name, image, labels, signal }: { name: string; image: string; labels: Record<string, string>; signal: AbortSignal },
): Promise<Finding[]> {
  if (!(await engine.image(image, signal)))
    return [
      {
        id: "trial",
        level: "warning",
        what: `the image ${image} is not here: no container was tried`,
        next: "In a checkout `npm start` builds it; COFFERDAM_TASK_AGENT_IMAGE names another one, which the launch agent pulls at its first start.",
      },
    ];
  const plan: ContainerPlan = {
    name: `cofferdam-${name}`,
    labels,
    image,
    entrypoint: ["/bin/true"],
    environment: {},
    user: "65534:65534",
    workingDirectory: "/",
    limits: { memoryBytes: 64 * mebibyte, cpus: 0.5, pids: 16, openFiles: 256 },
    isolation: "strict",
    network: { mode: "none" },
    shared: [],
  };
  try {
    const id = await engine.create(plan, signal);
    await engine.start(id, signal);
    const exit = await engine.wait(id, signal);
    if (exit.code === 0) return [{ id: "trial", level: "ok", what: "a closed-off container ran" }];
    return [failed(`ended with exit code ${exit.code}${exit.error === undefined ? "" : `: ${exit.error}`}`)];
  } catch (error) {
    return [failed(error instanceof Error ? error.message : String(error))];
  } finally {
    await engine.remove(plan.name, new AbortController().signal).catch(() => undefined);
  }
}

function failed(why: string): Finding {
  return {
    id: "trial",
    level: "bad",
    what: `a closed-off container could not be run: ${why}`,
    next: "The engine's log tells more: journalctl -u docker.",
  };
}
