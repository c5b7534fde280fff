// Looks at pages in Debian's Chromium: node browser.mjs MODULES OUT FILE…
// Prints a line for each thing that is not as it should be, and `looked at N` at the end.
import { createRequire } from 'node:module';
import { readFileSync, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, out, ...files] = process.argv.slice(2);
const require = createRequire(join(modules, 'x.js'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

mkdirSync(out, { recursive: true });
const wrong = (file, what) => console.log(`${basename(file)}: ${what}`);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
let looked = 0;
for (const file of files) {
  const address = pathToFileURL(file).href;
  for (const [width, colorScheme] of [[375, 'light'], [375, 'dark'], [1280, 'light'], [1280, 'dark']]) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, bypassCSP: true });
    const page = await context.newPage();
    page.on('request', request => {
      if (request.url() !== address && !request.url().startsWith('data:')) wrong(file, `asks for ${request.url()}`);
    });
    page.on('console', message => wrong(file, `says ${message.text()}`));
    page.on('pageerror', error => wrong(file, `fails with ${error}`));
    await page.goto(address);
    const name = `${basename(file, '.html')}-${width}-${colorScheme}`;
    await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
    // Folded parts are as much of the page as the rest.
    await page.evaluate(() => document.querySelectorAll('details').forEach(of => { of.open = true; }));
    const over = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth
      ? [...document.querySelectorAll('body *')].filter(of => of.getBoundingClientRect().right > window.innerWidth && !of.parentElement.closest('.wide'))
        .map(of => `${of.tagName} ${of.textContent.slice(0, 60)}`)
      : []);
    if (over.length > 0) wrong(file, `is wider than ${width}: ${over.join('; ')}`);
    await page.evaluate(axe);
    const { violations, passes } = await page.evaluate(() => window.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }));
    if (passes.length < 10) wrong(file, `axe has looked at ${passes.length} rules`);
    for (const of of violations) {
      for (const node of of.nodes.slice(0, 3)) wrong(file, `${width} ${colorScheme} ${of.id}: ${node.target} ${node.html.slice(0, 120)}`);
    }
    await context.close();
    looked += 1;
  }

  // Without scripts, by keyboard alone: every link and every fold is reached, and a fold opens.
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.goto(address);
  const folds = await page.locator('summary').count();
  if (folds > 0) {
    let reached = false;
    for (let step = 0; step < 400 && !reached; step += 1) {
      await page.keyboard.press('Tab');
      reached = await page.locator('summary:focus').count() > 0;
    }
    if (!reached) wrong(file, 'no fold is reached by keyboard');
    await page.keyboard.press('Enter');
    if (await page.locator('details[open]').count() === 0) wrong(file, 'a fold does not open by keyboard');
  }
  const pdf = await page.pdf({ path: join(out, `${basename(file, '.html')}.pdf`), preferCSSPageSize: true });
  if (!pdf.includes('/MediaBox [0 0 594.95996 841.91998]') && !/\/MediaBox \[0 0 59\d(\.\d+)? 84\d(\.\d+)?\]/.test(pdf.toString('latin1'))) wrong(file, 'does not print to A4');
  await context.close();
}
await browser.close();
console.log(`looked at ${looked}`);
