export { startLaunchAgent } from "./agent.ts";
export type { LaunchAgent, LaunchAgentOptions } from "./launch-agent.ts";
export type { AgentEvent } from "./task/context.ts";
