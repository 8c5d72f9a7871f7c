export { type LaunchAgent, type LaunchAgentOptions, startLaunchAgent } from "./agent.ts";
export type { AgentEvent } from "./task/context.ts";
