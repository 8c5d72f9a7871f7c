import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { Command } from "commander";
import { z } from "zod";
import { NewTokenItem, operatorApi, TokenItems } from "../protocol/operator-api.ts";
import { reasonOf } from "./config/input.ts";
import { hostCommand, withHost } from "./host/command.ts";
import type { HostOptions } from "./host/options.ts";
import { table, writeJson } from "./host/table.ts";
import { type Cli, CommandError, exitCode, type Io } from "./io.ts";

export function tokenCommand(cli: Cli): Command {
  const command = new Command("token")
    .summary("tokens with which launch agents claim tasks of a class")
    .description("A token stands for one resource class, and may be shared by all its launch agents.");
  for (const part of [createToken, listTokens, deleteToken]) command.addCommand(part(cli));
  return command;
}

function createToken(cli: Cli): Command {
  const command = new Command("create")
    .summary("make a token, and show it this once")
    .description("Makes a token of a resource class. It can be read this one time only.")
    .argument("CLASS", "NAMESPACE/NAME")
    .option("--nickname <WORDS>", "what lists call it", "default")
    .option("-o, --output <FILE>", "write it into a new file for your eyes alone, instead of showing it");
  return hostCommand(command).action(
    (resourceClass: string, options: HostOptions & { nickname: string; output?: string }) =>
      withHost(cli, options, async (host) => {
        // Before there is a token that nobody would ever see.
        await using file = options.output === undefined ? undefined : await newFile(cli.io, options.output);
        const body = { resource_class: resourceClass, nickname: options.nickname };
        const made = await host.call({ method: "POST", path: operatorApi.tokens, body, schema: NewTokenItem });
        await file?.writeFile(`${made.token}\n`);
        const where = `The token ${made.id} of ${resourceClass} is in ${options.output}.`;
        cli.io.stdout.write(`${file ? where : made.token}\n`);
      }),
  );
}

async function newFile({ cwd }: Io, name: string) {
  try {
    return await open(resolve(cwd, name), "wx", 0o600);
  } catch (cause) {
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const why = exists ? "there is such a file already; remove it first" : reasonOf(cause);
    throw new CommandError(`cannot write ${name}: ${why}`, { exitCode: exitCode.usage, cause });
  }
}

function listTokens(cli: Cli): Command {
  const command = new Command("list")
    .summary("list the tokens of a class")
    .description("Lists the tokens of a resource class; what they are is not kept.")
    .argument("CLASS", "NAMESPACE/NAME")
    .option("--json", "as JSON", false);
  return hostCommand(command).action((resourceClass: string, options: HostOptions & { json: boolean }) =>
    withHost(cli, options, async (host) => {
      const query = { "resource-class": resourceClass };
      const { items } = await host.call({ path: operatorApi.tokens, query, schema: TokenItems });
      if (options.json) return writeJson(cli.io, items);
      const rows = items.map(({ id, nickname, created_at }) => [id, nickname, created_at]);
      cli.io.stdout.write(table(["ID", "NICKNAME", "CREATED"], rows));
    }),
  );
}

function deleteToken(cli: Cli): Command {
  const command = new Command("delete")
    .summary("take a token away")
    .description("Takes a token away: agents that have it claim nothing more. What they run goes on.")
    .argument("ID", "as `token list` shows it");
  return hostCommand(command).action((id: string, options: HostOptions) =>
    withHost(cli, options, async (host) => {
      await host.call({ method: "DELETE", path: operatorApi.tokenById(id), schema: z.unknown() });
      cli.io.stdout.write(`Token ${id} is deleted.\n`);
    }),
  );
}
