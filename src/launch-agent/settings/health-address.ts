import { configFileOf, type Sources } from "./config-file.ts";
import { type Files, hostFiles } from "./files.ts";

const name = "COFFERDAM_HEALTH_ADDRESS";

/** Where the agent with these settings serves its health. Asked for every few seconds: what reads settings is loaded where there are some to read. */
export async function healthAddress(
  environment: Sources["environment"],
  { configFile, files = hostFiles }: { configFile?: string; files?: Files },
): Promise<string> {
  const sources = { environment, files, ...(configFile === undefined ? {} : { configFile }) };
  if (environment[name]) return environment[name];
  if (environment[`${name}_FILE`] || configFileOf(sources)) {
    const { saidSetting } = await import("./settings.ts");
    const said = await saidSetting(name, sources);
    if (said !== undefined) return said;
  }
  return ":7623";
}
