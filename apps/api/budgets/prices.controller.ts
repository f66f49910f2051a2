import type { PriceScope, PriceView } from '#libs/access';
import { Body, Controller, Delete, Get, Inject, Param, Post } from '@nestjs/common';
import { requireUuid } from '../http/known-id.js';
import { ByCaller, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import { Spending } from './spending.js';
import { newPriceSchema, priceListSchema, priceSchema, type NewPriceBody } from './price-schema.js';

const tag = 'budgets';

@Controller('/api/prices')
export class PricesController {
  constructor(@Inject(Spending) private readonly spending: Spending) {}

  @Post()
  @Operation({
    permit: 'price.write',
    tag,
    summary: 'Set a price from a moment on; what was before keeps its own',
    body: newPriceSchema,
    answers: { 201: { description: 'the price', schema: priceSchema } },
    refusals: ['SLU_PRICE_CONFLICT'],
  })
  add(@Body({ schema: newPriceSchema }) body: NewPriceBody, @ByCaller() caller: Caller): Promise<PriceView> {
    const { endpoint, model, version, validFrom, ...price } = body;
    return this.spending.prices.add({
      scope: scopeOf(endpoint, model, version),
      price,
      validFrom: validFrom === undefined ? undefined : new Date(validFrom),
      ...caller,
    });
  }

  @Get()
  @Operation({
    permit: 'price.read',
    tag,
    summary: 'List all prices, the newest first: those that come, that hold and that held',
    answers: { 200: { description: 'the prices', schema: priceListSchema } },
  })
  async list(): Promise<{ currency: string; prices: PriceView[] }> {
    return { currency: this.spending.currency, prices: await this.spending.prices.list() };
  }

  @Delete('/:id')
  @Operation({
    permit: 'price.write',
    tag,
    summary: 'Take back a price that is not in force yet',
    params: { id: 'the id of the price' },
    answers: { 200: { description: 'taken back', schema: priceSchema } },
    refusals: ['SLU_PRICE_UNKNOWN', 'SLU_PRICE_IN_FORCE'],
  })
  remove(@Param('id') id: string, @ByCaller() { actor, requestId }: Caller): Promise<PriceView> {
    requireUuid(id, 'SLU_PRICE_UNKNOWN');
    return this.spending.prices.remove(id, actor, requestId);
  }
}

function scopeOf(endpoint: string | undefined, model: string | undefined, version: string | undefined): PriceScope {
  if (model !== undefined && version !== undefined) return { kind: 'version', model, version };
  return endpoint === undefined ? { kind: 'all' } : { kind: 'endpoint', endpoint };
}
