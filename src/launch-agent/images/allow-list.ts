import { fullName, hubName, type ImageName, placeOf } from "../../engine/image-name.ts";

/**
 * Names that images may have. A pattern is a name in any of Docker's spellings, with `*` for any run of characters: within the
 * host it stops at the first `/`, so that no other host can be written round it. Without a tag it stands for every tag and
 * digest; with one, for this tag only, and then a digest is refused: it could be any image of the repository.
 */
export class AllowList {
  readonly #patterns: readonly string[];
  readonly #rules: readonly Rule[];
  /** Whose list it is, for people: `resource class acme/small`. */
  readonly #owner: string;

  constructor(owner: string, patterns: readonly string[]) {
    this.#owner = owner;
    this.#patterns = patterns;
    this.#rules = patterns.map(ruleOf);
  }

  /** Why this image may not be used, for people; undefined: it may. */
  refusal(name: ImageName): string | undefined {
    if (this.#rules.some((rule) => rule(name))) return undefined;
    const shown = this.#patterns.slice(0, mostShown).join(", ");
    const more = this.#patterns.length > mostShown ? ` and ${this.#patterns.length - mostShown} more` : "";
    const allowed = this.#patterns.length === 0 ? "no image at all" : `${shown}${more}`;
    return `image ${fullName(name)} is not allowed by the ${this.#owner}, which allows ${allowed}. Use another image, or ask its operator`;
  }
}

type Rule = (name: ImageName) => boolean;

const mostShown = 10;

function ruleOf(pattern: string): Rule {
  if (pattern === "*") return () => true;
  const [, name = "", tag, digest] = /^(.*?)(?::([^/:@]*))?(?:@(.*))?$/.exec(pattern) ?? [];
  const place = placeOf(name);
  const registry = glob(hubName(place.registry), "[^/]*");
  const repository = glob(place.repository, ".*");
  const tagGlob = tag === undefined || digest !== undefined ? undefined : glob(tag, ".*");
  const digestGlob = digest === undefined ? undefined : glob(digest, ".*");
  return (image) => {
    if (!registry.test(image.registry) || !repository.test(image.repository)) return false;
    if (tagGlob) return image.tag !== undefined && tagGlob.test(image.tag);
    return digestGlob === undefined || (image.digest !== undefined && digestGlob.test(image.digest));
  };
}

function glob(pattern: string, any: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${parts.join(any)}$`);
}
