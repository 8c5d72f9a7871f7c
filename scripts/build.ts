import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { type BuildOptions, build } from "esbuild";

/** A bundle: one file that runs without node_modules. */
interface Bundle {
  entry: string;
  outfile: string;
  format: "cjs" | "esm";
  /** Packages that must not get into it, with the reason. */
  without: Record<string, string>;
}

const bundles: Record<string, Bundle> = {
  "task-agent": {
    entry: "src/task-agent/main.ts",
    outfile: "dist/task-agent.cjs",
    format: "cjs",
    without: { zod: "loading it takes longer than starting node, and every task would pay" },
  },
};

const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
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
  for (const [name, reason] of Object.entries(bundle.without)) {
    const input = Object.keys(metafile.inputs).find((path) => path.includes(`node_modules/${name}/`));
    if (input) throw new Error(`${bundle.outfile} contains ${input}: ${reason}`);
  }
  const bytes = metafile.outputs[bundle.outfile]?.bytes ?? 0;
  console.log(`${bundle.outfile} ${Math.ceil(bytes / 1024)} KiB`);
}

function optionsOf(bundle: Bundle): BuildOptions {
  return {
    entryPoints: [bundle.entry],
    outfile: bundle.outfile,
    bundle: true,
    platform: "node",
    target: "node24",
    format: bundle.format,
    external: builtinModules.map((name) => `node:${name}`),
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: "inline",
    logLevel: "warning",
    define: {
      COFFERDAM_VERSION: JSON.stringify(version),
      ...(bundle.format === "cjs" && { "import.meta.dirname": "__dirname" }),
    },
  };
}
