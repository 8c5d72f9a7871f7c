import { Command, InvalidArgumentError } from "commander";
import { operatorApi, type Trigger, Triggered } from "../protocol/operator-api.ts";
import { defaultConfig, readInput } from "./config/input.ts";
import type { Host } from "./host/client.ts";
import { hostCommand, withHost } from "./host/command.ts";
import { ConfigErrors } from "./host/errors.ts";
import type { HostOptions } from "./host/options.ts";
import { writeJson } from "./host/table.ts";
import { type Cli, exitCode, type Io } from "./io.ts";

interface Options extends HostOptions {
  config: string;
  repo: string;
  branch?: string;
  tag?: string;
  param?: Record<string, string>;
  follow: boolean;
  json: boolean;
}

export function triggerCommand(cli: Cli): Command {
  const command = new Command("trigger")
    .summary("start a pipeline in a control plane")
    .description(
      "Compiles a config in a control plane, and runs it there on a repository's branch or tag as it is now.",
    )
    .option("-c, --config <FILE>", "the config; - is standard input", defaultConfig)
    .requiredOption("--repo <URL>", "the repository that is checked out")
    .option("-b, --branch <NAME>", "a branch of it; its default branch where neither is given")
    .option("--tag <NAME>", "a tag of it")
    .option("-p, --param <K=V>", "a pipeline parameter (repeatable)", collect)
    .option("-f, --follow", "show what happens until it ends; Ctrl-C leaves it running", false)
    .option("--json", "the pipeline as JSON; with --follow one event a line", false);
  return hostCommand(command)
    .addHelpText("after", "With --follow: 0 green · 1 red · 3 infrastructure failed · 130 no longer followed")
    .action((options: Options) => withHost(cli, options, (host) => trigger(cli, host, options)));
}

async function trigger(cli: Cli, host: Host, options: Options): Promise<void> {
  const { io } = cli;
  const made = await start(host, await requestOf(io, options), io);
  if (!made) return cli.exit(exitCode.usage);
  io.stderr.write(made.warnings);
  if (options.follow) {
    const { followPipeline } = await import("./pipeline/follow.ts");
    return cli.exit(await followPipeline(host, String(made.number), { io, json: options.json }));
  }
  if (options.json) return writeJson(io, { id: made.id, number: made.number });
  io.stdout.write(`Pipeline ${made.number} has begun. To see it: cofferdam follow ${made.number}\n`);
}

/** Undefined where the config has errors, which have been told then as `exec` tells them. */
async function start(host: Host, body: Trigger, io: Io): Promise<Triggered | undefined> {
  try {
    return await host.call({ method: "POST", path: operatorApi.pipelines, body, schema: Triggered });
  } catch (error) {
    if (!(error instanceof ConfigErrors)) throw error;
    io.stderr.write(error.message);
    return undefined;
  }
}

async function requestOf(io: Io, { config: file, repo, branch, tag, param = {} }: Options): Promise<Trigger> {
  const config = await readInput(io, file);
  const { typedParameters } = await import("./config/values.ts");
  const parameters = typedParameters({ typed: {}, text: param }, config) as Trigger["parameters"];
  return { config, file: file === "-" ? "<stdin>" : file, repository: repo, branch, tag, parameters };
}

function collect(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`"${text}" is not of the form name=value.`);
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) };
}
