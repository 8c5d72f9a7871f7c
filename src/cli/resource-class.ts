import { Command } from "commander";
import { z } from "zod";
import { ClassItem, ClassItems, operatorApi } from "../protocol/operator-api.ts";
import type { Host } from "./host/client.ts";
import { hostCommand, withHost } from "./host/command.ts";
import type { HostOptions } from "./host/options.ts";
import { table, writeJson } from "./host/table.ts";
import { type Cli, CommandError, exitCode } from "./io.ts";
import { addSettings, type SettingOptions, settingsOf } from "./resource-class/settings.ts";

interface Json extends HostOptions {
  json: boolean;
}

export function resourceClassCommand(cli: Cli): Command {
  const command = new Command("resource-class")
    .summary("classes of launch agents, and what they give their tasks")
    .description("A resource class, NAMESPACE/NAME, has a queue of its own, and says what each of its tasks may use.");
  for (const part of [createClass, listClasses, showClass, updateClass, deleteClass]) command.addCommand(part(cli));
  return command;
}

function createClass(cli: Cli): Command {
  const command = new Command("create")
    .summary("make a class")
    .description("Makes a resource class. What no option says has its default.")
    .argument("CLASS", "NAMESPACE/NAME")
    .option("--description <WORDS>", "what it is for");
  return hostCommand(addSettings(command)).action(
    (name: string, options: HostOptions & SettingOptions & { description?: string }) =>
      withHost(cli, options, async (host) => {
        const { description } = options;
        const body = { resource_class: name, description, settings: settingsOf(options) };
        const made = await host.call({ method: "POST", path: operatorApi.classes, body, schema: ClassItem });
        cli.io.stdout.write(`Made ${made.resource_class}. Its agents need a token: cofferdam token create ${name}\n`);
      }),
  );
}

function listClasses(cli: Cli): Command {
  const command = new Command("list")
    .summary("list classes")
    .description("Lists the resource classes of a control plane.")
    .argument("[NAMESPACE]", "only those of this namespace")
    .option("--json", "as JSON, with their settings", false);
  return hostCommand(command).action((namespace: string | undefined, options: Json) =>
    withHost(cli, options, async (host) => {
      const { items } = await host.call({ path: operatorApi.classes, query: { namespace }, schema: ClassItems });
      if (options.json) return writeJson(cli.io, items);
      const rows = items.map(({ resource_class, description }) => [resource_class, description]);
      cli.io.stdout.write(table(["RESOURCE CLASS", "DESCRIPTION"], rows));
    }),
  );
}

function showClass(cli: Cli): Command {
  const command = new Command("show")
    .summary("show a class, and what is set of it")
    .description("Shows a resource class as JSON. A setting that is not there has its default.")
    .argument("CLASS", "NAMESPACE/NAME");
  return hostCommand(command).action((name: string, options: HostOptions) =>
    withHost(cli, options, async (host) => writeJson(cli.io, await find(host, name))),
  );
}

function updateClass(cli: Cli): Command {
  const command = new Command("update")
    .summary("change a class")
    .description("Changes what options say, and nothing else. Tasks that are queued already keep what they had.")
    .argument("CLASS", "NAMESPACE/NAME")
    .option("--description <WORDS>", "what it is for")
    .option("--reset <SETTING>", "back to its default: a name that `show` shows (repeatable)", append);
  return hostCommand(addSettings(command)).action(
    (name: string, options: HostOptions & SettingOptions & { description?: string; reset?: string[] }) =>
      withHost(cli, options, async (host) => {
        const reset = Object.fromEntries((options.reset ?? []).map((setting) => [setting, null]));
        const { description } = options;
        const body = { description, settings: { ...settingsOf(options), ...reset } };
        const path = operatorApi.classByName(pathOf(name));
        await host.call({ method: "PATCH", path, body, schema: ClassItem });
        cli.io.stdout.write(`Changed ${name}.\n`);
      }),
  );
}

function deleteClass(cli: Cli): Command {
  const command = new Command("delete")
    .summary("delete a class")
    .description("Deletes a resource class.")
    .argument("CLASS", "NAMESPACE/NAME")
    .option("--force", "with its tokens; what waits for it or runs is cancelled", false);
  return hostCommand(command).action((name: string, options: HostOptions & { force: boolean }) =>
    withHost(cli, options, async (host) => {
      const { id } = await find(host, name);
      await host.call({ method: "DELETE", path: operatorApi.classById(id, options.force), schema: z.unknown() });
      cli.io.stdout.write(`Deleted ${name}.\n`);
    }),
  );
}

async function find(host: Host, name: string): Promise<ClassItem> {
  return await host.call({ path: operatorApi.classByName(pathOf(name)), schema: ClassItem });
}

function pathOf(name: string): string {
  const parts = name.split("/");
  if (parts.length === 2 && parts.every((part) => part !== "")) return parts.map(encodeURIComponent).join("/");
  throw new CommandError(`"${name}" is no resource class: it has the form NAMESPACE/NAME`, {
    exitCode: exitCode.usage,
  });
}

function append(text: string, previous: string[] = []): string[] {
  return [...previous, text];
}
