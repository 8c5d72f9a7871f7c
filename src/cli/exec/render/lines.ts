import { StringDecoder } from "node:string_decoder";

/** A line longer than this is shown in pieces: memory stays flat however long it gets. */
const maxLineLength = 16 * 1024;

/** Cuts a byte stream into lines of text. Bytes that are no UTF-8 become U+FFFD. */
export class LineSplitter {
  readonly #decoder = new StringDecoder("utf8");
  #rest = "";

  /** The lines that are complete now, without their newlines. */
  push(bytes: Buffer): string[] {
    const lines = (this.#rest + this.#decoder.write(bytes)).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > maxLineLength) {
      lines.push(this.#rest);
      this.#rest = "";
    }
    return lines.some((line) => line.includes("\r")) ? lines.map(lastState) : lines;
  }

  /** What stands without a newline at the end. */
  end(): string[] {
    const rest = this.#rest + this.#decoder.end();
    this.#rest = "";
    return rest === "" ? [] : [lastState(rest)];
  }
}

/** A progress bar rewrites its line with carriage returns; what a terminal would show at the end is the last state. */
function lastState(line: string): string {
  const text = line.replace(/\r+$/, "");
  return text.slice(text.lastIndexOf("\r") + 1);
}
