"""Training by rewards: thin layers over TRL (requirements-train.txt).

stable_reinforce.py  R1-Reward's algorithm as a GRPOTrainer, Reinforce++ and GRPO by configuration of the same class
rewards.py           what a reasoning judge is rewarded for, and any judge as a reward, in TRL's signature
config.py            settings of a training run, from TOML files in configs/
job.py               what is trained, and the folder that it owns
reasoning_data.py    preference data as questions to a judge, in both orders; R1-Reward-RL's format
key_texts.py         thoughts written by the scene world's answer key
first_texts.py       the stages that make data and first thoughts
policy.py            the model that learns, and the rows that TRL trains it on
cold_start.py        supervised training in which words that carry a fact may weigh more
reasoning_judge.py   the command: cold start, difficulty, RL on what is hard
sampling.py          many questions answered side by side
resuming.py          checkpoints read back under the names they were written with
dry_run.py           the same without weights
"""
