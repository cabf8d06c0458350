"""Promotion: findings, tasks and rules of briefings and gates become memory by one pure fold of a ledger."""
