/** The pure files of `pixels/` use the type of a frame, and its file reads Node's clock. Nothing of the page may do that. */
declare const process: { readonly hrtime: { bigint(): bigint } }
