import { connect } from "node:net";
import { agentApi } from "../../../src/protocol/agent-api.ts";
import { until } from "../child.ts";
import type { Fault } from "../fault.ts";
import { job, jobClass, ticking } from "../jobs.ts";
import type { World } from "../world.ts";

const soon = ticking({ ticks: 3, everyMs: 10 });

/** Somebody who means harm, outside or in a job. */
export const abuseFaults: readonly Fault[] = [
  {
    id: "T08",
    what: "wrong tokens, as fast as they go, from the address that an agent has: 429, and the agent's job goes on; a new agent is served, too",
    run: async (world) => await guessTokens(world),
  },
  {
    id: "T09",
    what: "a job looks for the agent's token and the engine's socket, in every process and every file that it can read: neither is there",
    run: async (world) => await lookAround(world),
  },
  {
    id: "F20",
    what: "requests with two lengths, which a proxy might read otherwise than we do: refused, and what is hidden in them is not answered",
    run: async (world) => await smuggle(world),
  },
];

async function guessTokens(world: World): Promise<string> {
  await world.begin();
  await world.startAgent({ tasks: 1 });
  const running = await world.start(ticking({ ticks: 100, everyMs: 100 }));
  await world.untilOutput(running);
  const thief = world.fakeAgent();
  const seen = new Map<number, number>();
  const guess = async (): Promise<number> => {
    const { status } = await thief.call("GET", agentApi.class, { token: `guess-${world.random()}` });
    seen.set(status, (seen.get(status) ?? 0) + 1);
    return status;
  };
  const guesses = async () => await Promise.all(Array.from({ length: 20 }, guess));
  await until("a guess is refused", 30_000, async () => ((await guesses()).includes(429) ? true : undefined));
  const token = await world.plane.call("prepare", { resourceClass: jobClass });
  const late = await world.startAgent({ tasks: 1, env: { CIRCLECI_RUNNER_API_AUTH_TOKEN: token } });
  const served = /serving a resource class/;
  // The two of them share what the address may still try.
  const wasTold = await until("the new agent is told, or served", 60_000, async () => {
    await guesses();
    if (late.child.said.includes("too many wrong tokens")) return "told why it waits";
    return served.test(late.child.said) ? "quicker than the thief" : undefined;
  });
  await late.child.says(served);
  await world.start(soon);
  const evidence = await world.finish();
  return `${evidence}, ${seen.get(401) ?? 0} guesses looked up, ${seen.get(429) ?? 0} not; the new agent was ${wasTold}`;
}

/** The pattern comes by a pipe and in halves, so that the search does not find itself. */
async function lookAround(world: World): Promise<string> {
  await world.begin();
  await world.startAgent();
  const { token } = world;
  const [one, two] = [token.slice(0, 20), token.slice(20)];
  const command = [
    "set +e",
    `token() { printf %s%s ${one} ${two}; }`,
    "token > /tmp/planted",
    "token | grep -alF -f - /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null",
    "token | grep -arlF -f - /etc /home /opt /root /run /srv /tmp /var 2>/dev/null",
    "env | grep -E '^(CIRCLECI_RUNNER|LAUNCH_AGENT|CIRCLECI_API)_'",
    "find / -xdev -type s -name 'docker*.sock' -o -xdev -type s -name 'podman*.sock' 2>/dev/null",
    "true",
  ].join("; ");
  // What was planted is found, so the search does search.
  await world.start(job({ command, output: "/tmp/planted\n" }));
  return await world.finish();
}

async function smuggle(world: World): Promise<string> {
  await world.begin();
  const hidden = `GET /live HTTP/1.1\r\nHost: x\r\n\r\n`;
  const head = `POST ${agentApi.claim} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
  const lengths = [
    `Content-Length: ${hidden.length + 5}\r\nTransfer-Encoding: chunked`,
    `Transfer-Encoding: chunked\r\nContent-Length: ${hidden.length + 5}`,
    `Content-Length: 0\r\nContent-Length: ${hidden.length + 5}`,
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Content-Length: +5",
  ];
  for (const said of lengths) {
    const answer = await speak(world.plane.port, `${head}${said}\r\n\r\n0\r\n\r\n${hidden}`);
    const statuses = [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => status);
    if (statuses.join() !== "400")
      throw new Error(`${JSON.stringify(said)} is answered ${statuses.join() || "nothing"}`);
  }
  await world.startAgent();
  await world.start(soon);
  return `${await world.finish()}, ${lengths.length} requests refused`;
}

/** All that is answered, until the other side hangs up. */
async function speak(port: number, words: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  let answer = "";
  socket.setEncoding("latin1").on("data", (part: string) => (answer += part));
  // It hangs up on what it has not read.
  socket.on("error", () => {});
  socket.setTimeout(10_000, () => socket.destroy());
  socket.write(words);
  await new Promise((resolve) => socket.once("close", resolve));
  return answer;
}
