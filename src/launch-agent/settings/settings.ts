import { Options } from "../options.ts";
import { type ClassToken, readClasses } from "./classes.ts";
import { configFileOf, type Sources } from "./config-file.ts";
import type { Files } from "./files.ts";
import { foreign, type Name, names, synonyms, yamlKeys } from "./keys.ts";
import { strangeNames } from "./strange-names.ts";
import { readYaml, type Said, type YamlSettings } from "./yaml-file.ts";

export interface Settings {
  options: Options;
  /** At least one. */
  classes: ClassToken[];
  /** What is worth a word in the log: settings that change nothing here. */
  notices: string[];
}

/** One line for each thing that is wrong. `mayCome`: nothing but tokens is missing, from a directory that somebody may still fill. */
export interface Problems {
  problems: string[];
  mayCome?: boolean;
}

/** The settings, or what is wrong. The environment goes before the file. No value is repeated: one of them is a secret. */
export async function readSettings(sources: Sources): Promise<Settings | Problems> {
  const { environment, files } = sources;
  const problems: string[] = [];
  const tell = (problem: string) => problems.push(problem);
  const yaml = await yamlOf(sources, tell);
  problems.push(...(yaml?.problems ?? []));
  const notices = judgeForeign(environment, yaml, tell);
  const given = names().flatMap((name): [Name, Said][] => {
    const said = find(name, { environment, yaml, files, tell });
    return said ? [[name, said]] : [];
  });
  const said = new Map(given);
  const parsed = Options.safeParse(Object.fromEntries(given.map(([name, { text }]) => [name, text])));
  if (!parsed.success) {
    for (const { path, code, message } of parsed.error.issues) {
      const name = String(path[0]) as Name;
      // A bad value has to be found, so it is told by the name under which it was given.
      tell(`${said.get(name)?.where ?? name}: ${code === "invalid_type" ? "is not set" : message}`);
    }
  }
  if (!parsed.success || problems.length > 0) return { problems };
  const classes = readClasses({ options: parsed.data, yaml: yaml?.classes ?? new Map(), files });
  if ("problems" in classes) return classes;
  return { options: parsed.data, classes: classes.classes, notices: [...notices, ...strangeNames(environment)] };
}

/** One setting as it was said, unread. Undefined where it was not, or where what says it cannot be read. */
export async function saidSetting(name: Name, sources: Sources): Promise<string | undefined> {
  const tell = () => undefined;
  return find(name, { ...sources, yaml: await yamlOf(sources, tell), tell })?.text;
}

async function yamlOf(sources: Sources, tell: (problem: string) => void): Promise<YamlSettings | undefined> {
  const file = configFileOf(sources);
  if (file === undefined) return undefined;
  try {
    return await readYaml(sources.files.read(file), file);
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

interface Given {
  environment: Readonly<Record<string, string | undefined>>;
  yaml: YamlSettings | undefined;
  files: Files;
  tell: (problem: string) => void;
}

/** One setting's value, from where it counts most: its own name, its other names, the file. An empty one is none. */
function find(name: Name, given: Given): Said | undefined {
  const { environment, yaml } = given;
  for (const each of [name, ...(synonyms[name] ?? [])]) {
    const said = valueOrFile(
      { name: each, value: saidIn(environment, each), file: saidIn(environment, `${each}_FILE`) },
      given,
    );
    if (said) return said;
  }
  const [key] = [...yamlKeys].find(([, itsName]) => itsName === name) ?? [];
  if (key === undefined || !yaml) return undefined;
  return valueOrFile({ name: key, value: yaml.values.get(key), file: yaml.values.get(`${key}_file`) }, given);
}

function saidIn(environment: Given["environment"], name: string): Said | undefined {
  const text = environment[name];
  return text ? { text, where: name } : undefined;
}

function valueOrFile(
  { name, value, file }: { name: string; value: Said | undefined; file: Said | undefined },
  given: Given,
): Said | undefined {
  if (value && file) given.tell(`${file.where}: is set twice, as ${name}, too`);
  return value ?? (file && readSaid(file.text, file.where, given));
}

/** What stands in a file, without the line's end that editors and `echo` leave. */
function readSaid(file: string, where: string, { files, tell }: Given): Said | undefined {
  try {
    return { text: files.read(file).replace(/\r?\n$/, ""), where };
  } catch (error) {
    tell(`${where}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

/** What CircleCI's agents know and this one does not: refused where that would not be so, and worth a word elsewhere. */
function judgeForeign(
  environment: Given["environment"],
  yaml: YamlSettings | undefined,
  tell: (problem: string) => void,
): string[] {
  const notices: string[] = [];
  for (const { key, environment: itsNames, how, fine, instead } of foreign) {
    const said: Said[] = itsNames.flatMap((name) => {
      const text = environment[name];
      return text ? [{ text, where: name }] : [];
    });
    const inFile = key === undefined ? undefined : yaml?.values.get(key);
    for (const { text, where } of inFile ? [...said, inFile] : said) {
      if (text === "" || fine?.test(text)) continue;
      if (how === "refused") tell(`${where}: is not supported: ${instead}`);
      else notices.push(`${where} changes nothing here: ${instead}`);
    }
  }
  return notices;
}
