/** Where a registry orb or a URL orb comes from. The compiler does no I/O: whoever calls it says where orbs are. */
export interface OrbSource {
  /** Never rejects for an orb that is not there: that is an answer. `signal` bounds a slow registry. */
  find(reference: OrbReference, signal?: AbortSignal): Promise<OrbAnswer>;
}

export type OrbReference = RegistryOrbReference | UrlOrbReference;

export interface RegistryOrbReference {
  kind: "registry";
  namespace: string;
  name: string;
  /** As written: `1.2.3`, `1.2`, `1`, `volatile` or `dev:label`. */
  version: string;
}

export interface UrlOrbReference {
  kind: "url";
  url: string;
}

export type OrbAnswer =
  | {
      found: true;
      /** What the reference stands for now: `namespace/name@1.2.3`, or the URL. */
      resolved: string;
      /** The packed orb, as YAML text. */
      text: string;
    }
  | {
      found: false;
      /** `unavailable`: the source could not be asked; `forbidden`: the operator does not allow this orb. */
      reason: "no-such-orb" | "no-such-version" | "unavailable" | "forbidden";
      /** For people: which places were looked at, or what the registry said. */
      detail?: string;
      /** Versions or orbs that are there, for the hint. */
      known?: string[];
    };

/**
 * Several sources as one: the first that has the orb answers; else the most telling refusal. A source that could not be asked, or does not
 * allow it, ends the search: it might have this orb, and nobody else's of the same name may take its place.
 */
export function firstOf(sources: readonly OrbSource[]): OrbSource {
  return {
    async find(reference, signal) {
      let refusal: OrbAnswer = { found: false, reason: "no-such-orb" };
      for (const source of sources) {
        const answer = await source.find(reference, signal);
        if (answer.found || answer.reason === "unavailable" || answer.reason === "forbidden") return answer;
        if (refusal.found || refusal.reason === "no-such-orb") refusal = answer;
      }
      return refusal;
    },
  };
}
