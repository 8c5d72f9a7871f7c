import { runCli } from "./program.ts";

const interrupted = new AbortController();
const hurried = new AbortController();

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (interrupted.signal.aborted) hurried.abort(signal);
    else interrupted.abort(signal);
  });
}
// A reader that went away, such as `| head`, is no error of ours. What runs is cancelled, so that no container is left behind.
process.stdout.on("error", () => interrupted.abort("nobody reads the output"));

const code = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  interrupted: interrupted.signal,
  hurried: hurried.signal,
});
// What is still waited for, such as an engine that never answers, keeps nobody here. What was written has to arrive first.
process.stdout.write("", () => process.stderr.write("", () => process.exit(code)));
