import {
  createDummyEngine,
  type DummyEngine,
  type DummyEngineOptions,
  type DummyProcess,
} from "../../src/engine/dummy/index.ts";
import { anAgent } from "./launch-agents.ts";
import { ScriptedTaskAgent } from "./scripted-task-agent.ts";

/** What a container does; ends with 0 when nothing else is returned. */
export type Script = (taskAgent: ScriptedTaskAgent, process: DummyProcess) => Promise<number | void>;

/** An engine in memory whose containers follow a script. */
export function scriptedEngine(script: Script, options: Partial<DummyEngineOptions> = {}): DummyEngine {
  return createDummyEngine({
    requiredLabels: ["dev.cofferdam.agent", "dev.cofferdam.role", "dev.cofferdam.deadline"],
    program: async (process) => (await script(new ScriptedTaskAgent(process), process)) ?? 0,
    images: { [anAgent.taskAgentImage]: { labels: { "dev.cofferdam.argv": '["/opt/cofferdam/node"]' } } },
    ...options,
  });
}

/** One step that says `done`. */
export const obedient: Script = async (taskAgent) => {
  await taskAgent.begin();
  await taskAgent.run("done\n");
};

/** A container that nothing but a signal ends. */
export async function untilKilled({ killed }: Pick<DummyProcess, "killed">): Promise<number> {
  await new Promise((resolve) => killed.addEventListener("abort", resolve, { once: true }));
  return 137;
}
