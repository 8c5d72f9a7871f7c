import { runCli } from "./program.ts";

const interrupted = new AbortController();
const hurried = new AbortController();

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) hurried.abort(signal);
    else interrupted.abort(signal);
  });
}
// A reader that went away, such as `| head`, is no error of ours: there is nobody left to write to.
process.stdout.on("error", () => process.exit(0));

process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  interrupted: interrupted.signal,
  hurried: hurried.signal,
});
