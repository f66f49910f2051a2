import { actorOf, tenantWithin, type BudgetActor, type BudgetView, type Principal } from '#libs/access';
import { Body, Controller, Delete, Get, Inject, Param, Patch, Post } from '@nestjs/common';
import { requireUuid } from '../http/known-id.js';
import { ByCaller, ByPrincipal, type Caller } from '../http/caller.js';
import { Operation } from '../http/operation.js';
import {
  budgetChangeSchema,
  budgetListSchema,
  budgetSchema,
  newBudgetSchema,
  shownBudgetSchema,
  type BudgetChangeBody,
  type NewBudgetBody,
} from './budget-schema.js';
import { Spending } from './spending.js';

const tag = 'budgets';
const params = { id: 'the id of the budget' };

@Controller('/api/budgets')
export class BudgetsController {
  constructor(@Inject(Spending) private readonly spending: Spending) {}

  @Post()
  @Operation({
    permit: 'budget.write',
    tag,
    summary: 'Set a budget for a key, a project or a tenant',
    body: newBudgetSchema,
    answers: { 201: { description: 'the budget, with the secret of its webhook', schema: shownBudgetSchema } },
  })
  add(
    @Body({ schema: newBudgetSchema }) body: NewBudgetBody,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<BudgetView & { webhookSecret?: string }> {
    return this.spending.register.add(body, writerOf(principal, caller));
  }

  @Get()
  @Operation({
    permit: 'budget.read',
    tag,
    summary: 'List the budgets in force and how they stand',
    answers: { 200: { description: 'the budgets, the newest first', schema: budgetListSchema } },
  })
  async list(@ByPrincipal() principal: Principal): Promise<{ currency: string; budgets: BudgetView[] }> {
    return {
      currency: this.spending.currency,
      budgets: await this.spending.register.list(tenantWithin(principal, 'budget.read')),
    };
  }

  @Get('/:id')
  @Operation({
    permit: 'budget.read',
    tag,
    summary: 'One budget and how it stands',
    params,
    answers: { 200: { description: 'the budget', schema: budgetSchema } },
    refusals: ['SLU_BUDGET_UNKNOWN'],
  })
  find(@Param('id') id: string, @ByPrincipal() principal: Principal): Promise<BudgetView> {
    return this.spending.register.find(requireUuid(id, 'SLU_BUDGET_UNKNOWN'), tenantWithin(principal, 'budget.read'));
  }

  @Patch('/:id')
  @Operation({
    permit: 'budget.write',
    tag,
    summary: 'Change a budget; what requests hold of it already stays held',
    params,
    body: budgetChangeSchema,
    answers: { 200: { description: 'the budget', schema: budgetSchema } },
    refusals: ['SLU_BUDGET_UNKNOWN', 'SLU_BUDGET_ENDED'],
  })
  change(
    @Param('id') id: string,
    @Body({ schema: budgetChangeSchema }) body: BudgetChangeBody,
    @ByCaller() caller: Caller,
    @ByPrincipal() principal: Principal,
  ): Promise<BudgetView> {
    return this.spending.register.change(requireUuid(id, 'SLU_BUDGET_UNKNOWN'), body, writerOf(principal, caller));
  }

  @Delete('/:id')
  @Operation({
    permit: 'budget.write',
    tag,
    summary: 'End a budget: nothing counts against it any more',
    params,
    answers: { 200: { description: 'ended', schema: budgetSchema } },
    refusals: ['SLU_BUDGET_UNKNOWN', 'SLU_BUDGET_ENDED'],
  })
  end(@Param('id') id: string, @ByCaller() caller: Caller, @ByPrincipal() principal: Principal): Promise<BudgetView> {
    return this.spending.register.end(requireUuid(id, 'SLU_BUDGET_UNKNOWN'), writerOf(principal, caller));
  }
}

const writerOf = (principal: Principal, { requestId }: Caller): BudgetActor => ({
  actor: actorOf(principal),
  requestId,
  tenantId: tenantWithin(principal, 'budget.write'),
});
