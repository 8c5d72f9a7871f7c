import { join } from "node:path";
import { Secret } from "../../lib/secret.ts";
import { className } from "../../protocol/resource-class.ts";
import type { Options } from "../options.ts";
import type { Files } from "./files.ts";
import type { Said } from "./yaml-file.ts";

/** One resource class whose tasks this agent claims. */
export interface ClassToken {
  /** `namespace/name`; undefined: whatever the token is of. */
  name?: string;
  token: Secret;
}

export interface ClassSources {
  options: Pick<
    Options,
    | "CIRCLECI_RUNNER_API_AUTH_TOKEN"
    | "CIRCLECI_RESOURCE_CLASS"
    | "CIRCLECI_RUNNER_RESOURCE_CLASSES"
    | "COFFERDAM_TOKEN_DIRECTORY"
  >;
  yaml: ReadonlyMap<string, { token?: Said; tokenFile?: Said }>;
  files: Files;
}

const tokenText = /^[\w~+/.=-]{1,512}$/;
const noToken =
  "CIRCLECI_RUNNER_API_AUTH_TOKEN: is not set. Set it, or CIRCLECI_RUNNER_API_AUTH_TOKEN_FILE, " +
  "or COFFERDAM_TOKEN_DIRECTORY for several classes";

/** The classes from all the places that may name one, each once; or what is wrong. No token is repeated. */
export function readClasses(
  sources: ClassSources,
): { classes: ClassToken[] } | { problems: string[]; mayCome: boolean } {
  const { options, yaml } = sources;
  const found = new Found(sources.files);
  const directory = options.COFFERDAM_TOKEN_DIRECTORY;
  const own = options.CIRCLECI_RUNNER_API_AUTH_TOKEN;
  if (own !== undefined) found.add("CIRCLECI_RUNNER_API_AUTH_TOKEN", options.CIRCLECI_RESOURCE_CLASS, own);
  for (const [name, { token, tokenFile }] of yaml) {
    if (token) found.add(token.where, name, token.text);
    else if (tokenFile) found.addFile(tokenFile.where, name, tokenFile.text);
    else found.problems.push(`resource_classes.${name}: has neither token nor token_file`);
  }
  const sure = found.problems.length;
  for (const [name, text] of listed(options, { files: sources.files, problems: found.problems })) {
    const where = `CIRCLECI_RUNNER_RESOURCE_CLASSES: ${name}`;
    if (text !== undefined) found.add(where, name, text);
    else if (directory !== undefined) found.addFile(where, name, join(directory, fileOf(name)));
    else found.problems.push(`${where}: no token: write ${name}=TOKEN, or set COFFERDAM_TOKEN_DIRECTORY`);
  }
  const mayCome = sure === 0 && directory !== undefined;
  const { classes, problems } = found;
  if (problems.length > 0) return { problems, mayCome };
  if (classes.length > 0) return { classes };
  return {
    problems: [directory === undefined ? noToken : `COFFERDAM_TOKEN_DIRECTORY: no token in ${directory}`],
    mayCome,
  };
}

class Found {
  readonly problems: string[] = [];
  readonly #files: Files;
  readonly #classes = new Map<string | undefined, ClassToken>();

  constructor(files: Files) {
    this.#files = files;
  }

  get classes(): ClassToken[] {
    return [...this.#classes.values()];
  }

  add(where: string, name: string | undefined, text: string): void {
    if (!this.#isName(where, name)) return;
    if (!tokenText.test(text)) this.problems.push(`${where}: this is no token: it has other characters, or none`);
    else if (!this.#classes.has(name)) this.#classes.set(name, { token: new Secret(text), ...(name ? { name } : {}) });
  }

  addFile(where: string, name: string, file: string): void {
    if (!this.#isName(where, name)) return;
    try {
      this.add(where, name, this.#files.read(file).trim());
    } catch (error) {
      this.problems.push(`${where}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #isName(where: string, name: string | undefined): boolean {
    if (name === undefined || className.test(name)) return true;
    this.problems.push(`${where}: ${JSON.stringify(name.slice(0, 100))} is no resource class; write NAMESPACE/NAME`);
    return false;
  }
}

/** Names, some with tokens. Of the directory all, where nobody names any. */
function listed(
  options: ClassSources["options"],
  { files, problems }: { files: Files; problems: string[] },
): [string, string | undefined][] {
  const text = options.CIRCLECI_RUNNER_RESOURCE_CLASSES;
  const directory = options.COFFERDAM_TOKEN_DIRECTORY;
  if (text !== undefined) {
    return text
      .split(/[\s,]+/)
      .filter(Boolean)
      .map((entry) => {
        const at = entry.indexOf("=");
        return at < 0 ? [entry, undefined] : [entry.slice(0, at), entry.slice(at + 1)];
      });
  }
  if (directory === undefined) return [];
  try {
    // A file whose name is no class's (`.gitkeep`, `..data` of a mounted secret) is none of ours.
    const names = files.list(directory).map((file) => file.replace(".", "/"));
    return names.filter((name) => className.test(name)).map((name) => [name, undefined]);
  } catch (error) {
    problems.push(`COFFERDAM_TOKEN_DIRECTORY: ${error instanceof Error ? error.message : String(error)}`);
    return [];
  }
}

/** `namespace.name`: a slash can be in no file's name. */
function fileOf(name: string): string {
  return name.replace("/", ".");
}
