import { resolve } from "node:path";
import { Command } from "commander";
import type { Cli } from "../io.ts";

export function packCommand(cli: Cli): Command {
  return new Command("pack")
    .summary("make one config of a directory")
    .description(
      "Makes one config of a directory: folders and files become keys. Files directly in DIR, and files whose names\n" +
        "begin with @, give their keys to the place where they stand. `<<include(FILE)>>` stands for a file's text.",
    )
    .argument("DIR", "the directory")
    .addHelpText("after", "\nExit codes: 0 packed · 2 a file can't be read, or is no map; or bad usage")
    .action(async (directory: string) => {
      const { packDirectory } = await import("./pack-directory.ts");
      cli.io.stdout.write(await packDirectory(resolve(cli.io.cwd, directory)));
    });
}
