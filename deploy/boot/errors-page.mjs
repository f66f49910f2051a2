const intro = `# Errors

Made from \`libs/kernel/error-table.ts\` by \`npm run docs\`; a test holds the two together.

Management answers carry the code in the field \`code\` of an RFC 9457 problem; Open Inference Protocol answers carry the
text in \`{"error": "..."}\` and the code in the header \`sluice-error-code\`, over gRPC in the metadata of that name. The OpenAI
protocol has an error object of its own, with the text in \`error.message\`. Words in braces are filled in.
Answers 429 and 503 say in \`Retry-After\` when to try again.
`;

/** The reference page of the error table, one row per code in the table's own order. */
export function errorsPage(errorTable) {
  const rows = Object.entries(errorTable).map(
    ([code, { status, text }]) => `| \`${code}\` | ${status} | ${text.replaceAll('|', '\\|')} |`,
  );
  return `${intro}\n| code | status | text |\n| --- | --- | --- |\n${rows.join('\n')}\n`;
}
