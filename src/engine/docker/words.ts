import type { EngineErrorCode } from "../engine.ts";

/**
 * The only place that reads an engine's prose. Everything else goes by status codes; these are the answers for which
 * engines have one code (or none, in the middle of a pull) and several meanings. Docker 20.10 to 28, Podman 4 and 5.
 */
interface Phrase {
  pattern: RegExp;
  code: EngineErrorCode;
}

const pullPhrases: Phrase[] = [
  { pattern: /too ?many ?requests|status:? 429|pull rate limit/i, code: "registry-busy" },
  { pattern: /no space left on device|disk quota exceeded/i, code: "disk-full" },
  {
    pattern:
      /no matching manifest|does not match the specified platform|no image found in (manifest list|image index) for architecture/i,
    code: "wrong-architecture",
  },
  { pattern: /manifest unknown|manifest for .* not found|name unknown|not found: manifest/i, code: "image-not-found" },
  {
    pattern:
      /pull access denied|unauthorized|authentication required|no basic auth|access to the resource is denied|incorrect username or password|forbidden/i,
    code: "image-denied",
  },
  { pattern: /invalid reference format|repository name must be/i, code: "bad-reference" },
  {
    pattern: /verification failed|digest did not match|unexpected digest|unexpected commit digest|mismatched digest/i,
    code: "image-corrupt",
  },
];

/** Podman says it with 500. */
const nameTaken: Phrase = { pattern: /\bname\b.* is already in use|that name is already in use/i, code: "conflict" };

/** Docker without its containerd, which comes back by itself. The last one is how containerd's client ends all that gRPC calls Unavailable. */
const withoutContainerd: Phrase = {
  pattern:
    /containerd.*(connection refused|no such file or directory|connection closed)|code = Unavailable|unavailable: connection|: unavailable$/i,
  code: "unreachable",
};

/** Two have made one network at the same moment: one of them gives way. */
const twoNetworks: Phrase = { pattern: /network \S+ is ambiguous/i, code: "conflict" };

const startPhrases: Phrase[] = [
  nameTaken,
  twoNetworks,
  withoutContainerd,
  { pattern: /no space left on device|disk quota exceeded/i, code: "disk-full" },
  { pattern: /exec format error/i, code: "wrong-architecture" },
  {
    pattern:
      /executable file (\S+ )?not found|attempted to invoke a command that was not found|no such file or directory.*exec|exec.*no such file or directory|exec.*permission denied|no command specified|unable to find user|no matching entries in passwd/i,
    code: "not-startable",
  },
];

const anyPhrases: Phrase[] = [
  // Podman, of two who make a volume at once, and where one makes what another removes.
  { pattern: /volume already exists|creating volume directory .*no such file or directory/i, code: "conflict" },
  // Podman answers 500 for what goes while it looks.
  { pattern: /no such (container|volume|image)/i, code: "not-found" },
  nameTaken,
  { pattern: /no space left on device|disk quota exceeded/i, code: "disk-full" },
  { pattern: /invalid reference format|repository name must be/i, code: "bad-reference" },
];

export type Situation = "pull" | "start" | "other";

const phrases: Record<Situation, Phrase[]> = { pull: pullPhrases, start: startPhrases, other: anyPhrases };

/** What the engine's words mean in this situation; undefined where they say nothing that we know. */
export function meaningOf(words: string, situation: Situation): EngineErrorCode | undefined {
  return phrases[situation].find((phrase) => phrase.pattern.test(words))?.code;
}

/** Docker and Podman both name a removal that is under way, with 409 like every other conflict. */
export function saysRemovalInProgress(words: string): boolean {
  return /removal of container .* is already in progress/i.test(words);
}
