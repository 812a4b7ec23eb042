"""The explorer: a local page that shows a run's record, every rollout of it, and why it got its advantage.

index   the columns that rollouts are filtered by, kept up to date with a run that goes on
detail  one rollout as a person reads it
api     the page's questions and their answers
server  answers them on 127.0.0.1
export  writes page and answers into one file
static  the page: JavaScript modules and a style sheet, no build step, nothing from elsewhere
"""
