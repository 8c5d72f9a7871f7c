/** Something that ends the process, with its words and its code. */
export class Fatal extends Error {
  override name = "Fatal";
  readonly code: number;

  constructor(code: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
