export { type LaunchAgent, type LaunchAgentOptions, startLaunchAgent } from "./agent.ts";
export type { LaidGround } from "./ground.ts";
export type { Log } from "./log.ts";
export type { AgentEvent } from "./task/context.ts";
