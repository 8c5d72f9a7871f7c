import { RE2JS } from "re2js";

/** Characters of a pattern between its slashes. */
export const maxPatternLength = 256;

/** A `/regular expression/` of RE2's language, which matches in linear time whatever is given to it. */
export class Pattern {
  /** Without the slashes. */
  readonly source: string;
  readonly #compiled: RE2JS;

  private constructor(source: string, compiled: RE2JS) {
    this.source = source;
    this.#compiled = compiled;
  }

  /** Undefined when the text is not a pattern of RE2. */
  static compile(source: string): Pattern | undefined {
    try {
      return new Pattern(source, RE2JS.compile(source));
    } catch {
      return undefined; // The engine throws for syntax alone, and its wording says nothing that a caret does not.
    }
  }

  /** True when the whole of the text matches, as if the pattern stood between `^` and `$`. */
  matches(text: string): boolean {
    return this.#compiled.matches(text);
  }

  toJSON(): object {
    return { pattern: this.source };
  }

  toString(): string {
    return `/${this.source}/`;
  }
}
