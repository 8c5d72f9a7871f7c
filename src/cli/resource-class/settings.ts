import { type Command, InvalidArgumentError, Option } from "commander";
import type { z } from "zod";
import type { ClassSettings } from "../../protocol/resource-class.ts";
import { Isolation, Limits, Network, type NetworkRule, PullPolicy } from "../../protocol/task.ts";

type Rule = z.input<typeof NetworkRule>;

/** Settings of a class, as options of a command. */
export interface SettingOptions {
  memory?: number;
  cpus?: number;
  pids?: number;
  openFiles?: number;
  workspace?: number;
  workspaceMedium?: Limits["workspaceMedium"];
  outputLimit?: number;
  isolation?: Isolation;
  network?: Network["mode"];
  allow?: Rule[];
  deny?: Rule[];
  networkAudit?: boolean;
  pull?: PullPolicy;
  allowImage?: string[];
  maxRunTime?: number;
  unsafeRetries?: boolean;
}

export function addSettings(command: Command): Command {
  return command
    .option("--memory <SIZE>", "hard limit of memory, such as 4g or 512m", size)
    .option("--cpus <COUNT>", "cores; fractions are allowed", count)
    .option("--pids <COUNT>", "processes and threads", count)
    .option("--open-files <COUNT>", "open files of one process", count)
    .option("--workspace <SIZE>", "what the workspace may hold", size)
    .addOption(choice("--workspace-medium <MEDIUM>", "where it lives", Limits.shape.workspaceMedium.options))
    .option("--output-limit <SIZE>", "output that is stored of a task", size)
    .addOption(choice("--isolation <PROFILE>", "how containers are closed off", Isolation.options))
    .addOption(choice("--network <MODE>", "what tasks can reach", Network.shape.mode.unwrap().options))
    .option(
      "--allow <RULE>",
      "reach only these, such as 10.0.0.0/8 or example.com:443,8000-8100/tcp (repeatable)",
      rules,
    )
    .option("--deny <RULE>", "never reach these (repeatable)", rules)
    .option("--network-audit", "tell what the rules would refuse, and let it through")
    .option("--no-network-audit", "refuse it")
    .addOption(choice("--pull <POLICY>", "when images are pulled", PullPolicy.options))
    .option("--allow-image <PATTERN>", "only such images; * is any run of characters (repeatable)", append)
    .option("--max-run-time <TIME>", "of a task's steps, such as 5h, 30m or 90s", duration)
    .option("--unsafe-retries", "run a task again whose agent was lost, even where steps had begun")
    .option("--no-unsafe-retries", "end it");
}

/** What the options say, and nothing of what they do not. */
export function settingsOf(options: SettingOptions): z.input<typeof ClassSettings> {
  const { isolation, pull, maxRunTime: maxRunTimeMs, unsafeRetries, allowImage: allowedImages } = options;
  const limits = said({
    memoryBytes: options.memory,
    cpus: options.cpus,
    pids: options.pids,
    openFiles: options.openFiles,
    workspaceBytes: options.workspace,
    workspaceMedium: options.workspaceMedium,
    outputBytes: options.outputLimit,
  });
  const { network: mode, allow, deny, networkAudit: audit } = options;
  return said({
    limits,
    isolation,
    network: said({ mode, allow, deny, audit }),
    pull,
    allowedImages,
    maxRunTimeMs,
    unsafeRetries,
  }) as z.input<typeof ClassSettings>;
}

function said(values: Record<string, unknown>): Record<string, unknown> | undefined {
  const known = Object.entries(values).filter(([, value]) => value !== undefined);
  return known.length === 0 ? undefined : Object.fromEntries(known);
}

function choice(flags: string, words: string, values: readonly string[]): Option {
  return new Option(flags, words).choices(values);
}

const units: Record<string, number> = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

function size(text: string): number {
  const [, digits, unit = "b"] = /^(\d+(?:\.\d+)?)([bkmgt]?)(?:i?b)?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(digits) * (units[(unit || "b").toLowerCase()] ?? 1));
  if (bytes > 0) return bytes;
  throw new InvalidArgumentError("A size is a number with k, m, g or t behind it, such as 4g.");
}

function count(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value > 0) return value;
  throw new InvalidArgumentError("It has to be a number above 0.");
}

const milliseconds: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };

function duration(text: string): number {
  const parts = [...text.matchAll(/(\d+)([smh])/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text)
    return parts.reduce((sum, [, value, unit = "s"]) => sum + Number(value) * (milliseconds[unit] ?? 0), 0);
  throw new InvalidArgumentError("A time is such as 5h, 30m, 90s or 1h30m.");
}

/** `NETWORK`, `HOST:PORTS`, `[IPV6]:PORTS`, with `/udp` or `/tcp` behind the ports. */
function rules(text: string, previous: Rule[] = []): Rule[] {
  const isBare = !text.startsWith("[") && text.split(":").length !== 2;
  const [, bracketed, name, ports, protocol] =
    /^(?:\[([^\]]+)\]|([^:[\]]+))(?::([\d,-]+)(?:\/(tcp|udp))?)?$/.exec(text) ?? [];
  const to = isBare ? text : (bracketed ?? name);
  if (to === undefined || to === "" || (isBare && /[^\w.:/*-]/.test(to)))
    throw new InvalidArgumentError("A rule is such as 10.0.0.0/8, example.com:443 or [fd00::/8]:53/udp.");
  if (isBare || ports === undefined) return [...previous, { to }];
  return [...previous, { to, ports: ports.split(","), ...(protocol === "udp" ? { protocol } : {}) }];
}

function append(text: string, previous: string[] = []): string[] {
  return [...previous, text];
}
