import { readArguments } from "./process/arguments.ts";

declare const COFFERDAM_VERSION: string;
const version = typeof COFFERDAM_VERSION === "string" ? COFFERDAM_VERSION : "0.1.0";
const badUsage = 2;
/** For what is being written. Nothing else that is still open then, such as a call that broke off, may hold the process. */
const lingerMs = 2_000;

/** The launch agent's process. Each command loads what it needs: a health check is small. */
async function main(): Promise<number> {
  const command = readArguments(process.argv.slice(2));
  const { stdout, stderr, env } = process;
  switch (command.kind) {
    case "bad":
      stderr.write(`launch agent: ${command.problem}; see --help\n`);
      return badUsage;
    case "version":
      stdout.write(`${version}\n`);
      return 0;
    case "help":
      stdout.write((await import("./settings/help.ts")).helpText());
      return 0;
    case "health": {
      const [{ askHealth }, { healthAddress }] = await Promise.all([
        import("./health/ask.ts"),
        import("./settings/health-address.ts"),
      ]);
      const { ok, said } = await askHealth(await healthAddress(env, command), command.what);
      (ok ? stdout : stderr).write(said);
      return ok ? 0 : 1;
    }
    default: {
      const { runProgram } = await import("./process/program.ts");
      return await runProgram(command, {
        environment: env,
        signals: process,
        version,
        tell: (text) => stderr.write(text),
      });
    }
  }
}

process.exitCode = await main();
setTimeout(() => process.exit(), lingerMs).unref();
