/* Small pieces of Markdown that the generated references share. */

export const generatedNote = '<!-- Made from the code by `npm run generate`: do not edit. -->\n'

/** A cell of a table: no line breaks, no bars. */
export const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n')
}
