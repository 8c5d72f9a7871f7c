import { readdirSync, readFileSync, rmSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { type BuildOptions, build, type Plugin } from "esbuild";

/** What runs without node_modules. */
interface Bundle {
  entry: string;
  /** One file; or a folder, where what only some commands need stands in files of its own and is loaded when it is needed. */
  output: { file: string } | { directory: string };
  /** Packages that must not get into it, with the reason. */
  without: Record<string, string>;
  /** Packages that something else stands in for. */
  alias: Record<string, string>;
}

const bundles: Record<string, Bundle> = {
  "task-agent": {
    entry: "src/task-agent/main.ts",
    output: { file: "dist/task-agent.cjs" },
    without: { zod: "loading it takes longer than starting node, and every task would pay" },
    alias: {},
  },
  cofferdam: program("src/cli/main.ts", "dist/cofferdam"),
  "launch-agent": program("src/launch-agent/main.ts", "dist/launch-agent"),
  "control-plane": program("src/control-plane/main.ts", "dist/control-plane"),
};

function program(entry: string, directory: string): Bundle {
  return { entry, output: { directory }, without: {}, alias: { undici: "./scripts/bundle/undici.cjs" } };
}

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
const constants = { COFFERDAM_VERSION: JSON.stringify(version) };
/** zod has its messages in fifty languages, which are a fifth of an agent. English is taken from a file of its own. */
const oneLanguage: Plugin = {
  name: "one-language",
  setup(bundle) {
    bundle.onResolve({ filter: /\/locales\/index\.js$/ }, () => ({ path: "locales", namespace: "empty" }));
    bundle.onLoad({ filter: /./, namespace: "empty" }, () => ({ contents: "export {}" }));
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in bundles));
if (unknown.length > 0) {
  console.error(`unknown bundle ${unknown.join(", ")}; there are: ${Object.keys(bundles).join(", ")}`);
  process.exit(2);
}
for (const [name, bundle] of Object.entries(bundles)) {
  if (wanted.length === 0 || wanted.includes(name)) await make(bundle);
}

async function make(bundle: Bundle): Promise<void> {
  const { metafile } = await build({ ...optionsOf(bundle), metafile: true });
  const place = "file" in bundle.output ? bundle.output.file : bundle.output.directory;
  for (const [name, reason] of Object.entries(bundle.without)) {
    const input = Object.keys(metafile.inputs).find((path) => path.includes(`node_modules/${name}/`));
    if (input) throw new Error(`${place} contains ${input}: ${reason}`);
  }
  // What an earlier build of other sources left would go into images.
  if ("directory" in bundle.output)
    for (const file of readdirSync(place)) if (!(join(place, file) in metafile.outputs)) rmSync(join(place, file));
  const bytes = Object.values(metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
  console.log(`${place} ${Math.ceil(bytes / 1024)} KiB`);
}

function optionsOf({ entry, output, alias }: Bundle): BuildOptions {
  return {
    entryPoints: [entry],
    ...("file" in output ? oneFile(output.file) : folder(output.directory)),
    bundle: true,
    alias,
    platform: "node",
    target: "node24",
    external: builtinModules.map((name) => `node:${name}`),
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "inline",
    logLevel: "warning",
    plugins: [oneLanguage],
  };
}

function oneFile(outfile: string): BuildOptions {
  return { outfile, format: "cjs", define: { ...constants, "import.meta.dirname": "__dirname" } };
}

/** Some packages are CommonJS inside, and look for what an ES module does not have. */
function folder(outdir: string): BuildOptions {
  return {
    outdir,
    format: "esm",
    splitting: true,
    outExtension: { ".js": ".mjs" },
    define: constants,
    banner: {
      js:
        'import{createRequire as bundleRequire}from"node:module";' +
        "const require=bundleRequire(import.meta.url),__filename=import.meta.filename,__dirname=import.meta.dirname;",
    },
  };
}
