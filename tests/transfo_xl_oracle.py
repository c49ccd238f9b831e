"""A second Transformer-XL, for comparison: written from the formulas, place by place and head by head, in 64-bit numpy.

Slow and plain on purpose; shares no code with the model. Weights come from the model's state dict by their names.
"""

import math

import numpy as np


def normed(vector, weight, bias, epsilon):
    centred = vector - vector.mean()
    return centred / math.sqrt((centred ** 2).mean() + epsilon) * weight + bias


def softmax(scores):
    shifted = np.exp(scores - scores.max())
    return shifted / shifted.sum()


def log_softmax(scores):
    return scores - scores.max() - math.log(np.exp(scores - scores.max()).sum())


class Oracle:
    def __init__(self, module):
        self.config = module.config
        self.weights = {name: value.detach().double().numpy() for name, value in module.state_dict().items()}
        ends = [0, *self.config.cutoffs, self.config.vocab_size]
        self.clusters = [(ends[number], ends[number + 1]) for number in range(len(ends) - 1)]

    def weight(self, name):
        return self.weights[name]

    def cluster_of(self, word):
        return next(number for number, (begin, end) in enumerate(self.clusters) if begin <= word < end)

    def embedded(self, word):
        cluster, begin = self.cluster_of(word), 0
        if self.config.div_val == 1:
            cluster = 0
        else:
            begin = self.clusters[cluster][0]
        vector = self.weight(f"transformer.word_emb.emb_layers.{cluster}.weight")[word - begin]
        if self.config.div_val > 1 or self.config.d_embed != self.config.d_model:
            vector = self.weight(f"transformer.word_emb.emb_projs.{cluster}") @ vector
        return vector * math.sqrt(self.config.d_model)

    def distance(self, steps):
        if self.config.clamp_len > 0:
            steps = min(steps, self.config.clamp_len)
        half = [steps / 10000 ** (2 * k / self.config.d_model) for k in range(self.config.d_model // 2)]
        return np.array([math.sin(one) for one in half] + [math.cos(one) for one in half])

    def layer(self, number, memory, states):
        """One layer on one row: new states and the attention of each head, (H, Q, K)."""
        config, prefix = self.config, f"transformer.layers.{number}."
        heads, width = config.n_head, config.d_head
        norm_a = [self.weight(f"{prefix}dec_attn.layer_norm.{part}") for part in ("weight", "bias")]
        norm_f = [self.weight(f"{prefix}pos_ff.layer_norm.{part}") for part in ("weight", "bias")]
        joined = [*memory, *states]
        seen = [normed(one, *norm_a, config.layer_norm_epsilon) for one in joined] if config.pre_lnorm else joined
        query, key, value = np.split(self.weight(f"{prefix}dec_attn.qkv_net.weight"), 3)
        queries, keys, values = ([table @ one for one in seen] for table in (query, key, value))
        content, position = self.weight(f"{prefix}dec_attn.r_w_bias"), self.weight(f"{prefix}dec_attn.r_r_bias")
        relative = [self.weight(f"{prefix}dec_attn.r_net.weight") @ self.distance(steps) for steps in range(len(joined))]
        attention = np.zeros((heads, len(states), len(joined)))
        new = []
        for row in range(len(states)):
            place = len(memory) + row
            mixed = []
            for head in range(heads):
                part = slice(head * width, (head + 1) * width)
                scores = np.full(len(joined), -np.inf)
                for other in range(place + 1):
                    steps = place - other
                    if config.same_length and config.mem_len > 0 and steps >= config.mem_len:
                        continue
                    scores[other] = ((queries[place][part] + content[head]) @ keys[other][part]
                                     + (queries[place][part] + position[head]) @ relative[steps][part]) / math.sqrt(width)
                attention[head, row] = softmax(scores)
                mixed.append(sum(attention[head, row, other] * values[other][part] for other in range(place + 1)))
            made = states[row] + self.weight(f"{prefix}dec_attn.o_net.weight") @ np.concatenate(mixed)
            if not config.pre_lnorm:
                made = normed(made, *norm_a, config.layer_norm_epsilon)
            inner = normed(made, *norm_f, config.layer_norm_epsilon) if config.pre_lnorm else made
            inner = self.weight(f"{prefix}pos_ff.CoreNet.0.weight") @ inner + self.weight(f"{prefix}pos_ff.CoreNet.0.bias")
            inner = self.weight(f"{prefix}pos_ff.CoreNet.3.weight") @ np.maximum(inner, 0)
            made = made + inner + self.weight(f"{prefix}pos_ff.CoreNet.3.bias")
            new.append(made if config.pre_lnorm else normed(made, *norm_f, config.layer_norm_epsilon))
        return new, attention

    def segment(self, words, memories=None):
        """One row: states of each layer (L + 1), attentions (L), and the memories for the next segment (L lists)."""
        config = self.config
        if memories is None:
            memories = [[np.zeros(config.d_model)] * config.mem_len for _ in range(config.n_layer)]
        states, attentions, kept = [[self.embedded(word) for word in words]], [], []
        for number in range(config.n_layer):
            made, attention = self.layer(number, memories[number], states[-1])
            joined = [*memories[number], *states[-1]]
            kept.append(joined[len(joined) - config.mem_len:] if config.mem_len else [])
            states.append(made)
            attentions.append(attention)
        return states, attentions, kept

    def log_probabilities(self, state):
        """Of all words after one state."""
        config = self.config
        projects = config.div_val > 1 or config.d_embed != config.d_model
        first = self.clusters[0][1]

        def scores(cluster, more=None):
            begin, end = self.clusters[cluster]
            table = 0 if config.div_val == 1 else cluster
            rows = slice(begin, end) if config.div_val == 1 else slice(None)
            weight = self.weight(f"crit.out_layers.{table}.weight")[rows]
            bias = self.weight(f"crit.out_layers.{table}.bias")[rows]
            inner = state @ self.weight(f"crit.out_projs.{cluster}") if projects else state
            if more:
                weight, bias = np.concatenate([weight, more[0]]), np.concatenate([bias, more[1]])
            return log_softmax(weight @ inner + bias)

        more = (self.weight("crit.cluster_weight"), self.weight("crit.cluster_bias")) if len(self.clusters) > 1 else None
        head = scores(0, more)
        made = list(head[:first])
        for cluster in range(1, len(self.clusters)):
            made += list(head[first + cluster - 1] + scores(cluster))
        return np.array(made)
