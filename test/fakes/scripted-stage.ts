import type { DummyEngine, DummyEngineOptions } from "../../src/engine/dummy/index.ts";
import type { LaunchAgent, LaunchAgentOptions } from "../../src/launch-agent/index.ts";
import { AgentStage } from "./launch-agents.ts";
import { type Script, scriptedEngine } from "./scripted-engine.ts";

const requiredLabels = ["agent", "task", "attempt", "class", "classes", "deadline", "role"].map(
  (name) => `dev.cofferdam.${name}`,
);

/** Launch agents without a pool, each on an engine in memory whose containers follow a script. */
export class ScriptedStage extends AgentStage {
  readonly #engines: DummyEngine[] = [];

  run(
    script: Script,
    changes: { engine?: Partial<DummyEngineOptions>; options?: Partial<LaunchAgentOptions> } = {},
  ): { agent: LaunchAgent; engine: DummyEngine } {
    const engine = scriptedEngine(script, { requiredLabels, ...changes.engine });
    this.#engines.push(engine);
    return { engine, agent: this.start({ engine, images: { pauseMs: 0 }, ...changes.options }) };
  }

  /** Throws where an agent used its engine wrongly. */
  override async close(): Promise<void> {
    await super.close();
    for (const { callerErrors } of this.#engines) if (callerErrors.length > 0) throw callerErrors[0];
  }
}
