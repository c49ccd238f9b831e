"""A second Transformer-XL, for comparison: written from the formulas, position by position and head by head, in 64-bit
numpy.

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
        self.clusters = [(ends[index], ends[index + 1]) for index in range(len(ends) - 1)]

    def weight(self, name):
        return self.weights[name]

    def cluster_of(self, word):
        return next(index for index, (start, end) in enumerate(self.clusters) if start <= word < end)

    def embedded(self, word):
        cluster, start = self.cluster_of(word), 0
        if self.config.div_val == 1:
            cluster = 0
        else:
            start = self.clusters[cluster][0]
        vector = self.weight(f"transformer.word_emb.emb_layers.{cluster}.weight")[word - start]
        if self.config.div_val > 1 or self.config.d_embed != self.config.d_model:
            vector = self.weight(f"transformer.word_emb.emb_projs.{cluster}") @ vector
        return vector * math.sqrt(self.config.d_model)

    def distance(self, steps):
        if self.config.clamp_len > 0:
            steps = min(steps, self.config.clamp_len)
        angles = [steps / 10000 ** (2 * k / self.config.d_model) for k in range(self.config.d_model // 2)]
        return np.array([math.sin(angle) for angle in angles] + [math.cos(angle) for angle in angles])

    def layer(self, layer_index, memory, states):
        """One layer on one row: new states and the attention of each head, (H, Q, K)."""
        config, prefix = self.config, f"transformer.layers.{layer_index}."
        heads, width = config.n_head, config.d_head
        norm_a = [self.weight(f"{prefix}dec_attn.layer_norm.{dimensions}") for dimensions in ("weight", "bias")]
        norm_f = [self.weight(f"{prefix}pos_ff.layer_norm.{dimensions}") for dimensions in ("weight", "bias")]
        context = [*memory, *states]
        inputs = [normed(vector, *norm_a, config.layer_norm_epsilon)
                  for vector in context] if config.pre_lnorm else context
        query, key, value = np.split(self.weight(f"{prefix}dec_attn.qkv_net.weight"), 3)
        queries, keys, values = ([table @ vector for vector in inputs] for table in (query, key, value))
        content, position = self.weight(f"{prefix}dec_attn.r_w_bias"), self.weight(f"{prefix}dec_attn.r_r_bias")
        relative = [self.weight(f"{prefix}dec_attn.r_net.weight") @ self.distance(steps)
                    for steps in range(len(context))]
        attention = np.zeros((heads, len(states), len(context)))
        new_states = []
        for row in range(len(states)):
            query_position = len(memory) + row
            head_outputs = []
            for head in range(heads):
                dimensions = slice(head * width, (head + 1) * width)
                scores = np.full(len(context), -np.inf)
                for key_position in range(query_position + 1):
                    steps = query_position - key_position
                    if config.same_length and config.mem_len > 0 and steps >= config.mem_len:
                        continue
                    scores[key_position] = ((queries[query_position][dimensions] + content[head])
                                            @ keys[key_position][dimensions]
                                            + (queries[query_position][dimensions] + position[head])
                                            @ relative[steps][dimensions]) / math.sqrt(width)
                attention[head, row] = softmax(scores)
                head_outputs.append(sum(attention[head, row, key_position] * values[key_position][dimensions]
                                        for key_position in range(query_position + 1)))
            state = states[row] + self.weight(f"{prefix}dec_attn.o_net.weight") @ np.concatenate(head_outputs)
            if not config.pre_lnorm:
                state = normed(state, *norm_a, config.layer_norm_epsilon)
            inner = normed(state, *norm_f, config.layer_norm_epsilon) if config.pre_lnorm else state
            inner = self.weight(f"{prefix}pos_ff.CoreNet.0.weight") @ inner + self.weight(
                f"{prefix}pos_ff.CoreNet.0.bias")
            inner = self.weight(f"{prefix}pos_ff.CoreNet.3.weight") @ np.maximum(inner, 0)
            state = state + inner + self.weight(f"{prefix}pos_ff.CoreNet.3.bias")
            new_states.append(state if config.pre_lnorm else normed(state, *norm_f, config.layer_norm_epsilon))
        return new_states, attention

    def segment(self, words, memories=None):
        """One row: states of each layer (L + 1), attentions (L), and the memories for the next segment (L lists)."""
        config = self.config
        if memories is None:
            memories = [[np.zeros(config.d_model)] * config.mem_len for _ in range(config.n_layer)]
        states, attentions, new_memories = [[self.embedded(word) for word in words]], [], []
        for layer_index in range(config.n_layer):
            new_states, attention = self.layer(layer_index, memories[layer_index], states[-1])
            context = [*memories[layer_index], *states[-1]]
            new_memories.append(context[len(context) - config.mem_len:] if config.mem_len else [])
            states.append(new_states)
            attentions.append(attention)
        return states, attentions, new_memories

    def log_probabilities(self, state):
        """Of all words after one state."""
        config = self.config
        projects = config.div_val > 1 or config.d_embed != config.d_model
        head_size = self.clusters[0][1]

        def scores(cluster, cluster_rows=None):
            start, end = self.clusters[cluster]
            layer_index = 0 if config.div_val == 1 else cluster
            rows = slice(start, end) if config.div_val == 1 else slice(None)
            weight = self.weight(f"crit.out_layers.{layer_index}.weight")[rows]
            bias = self.weight(f"crit.out_layers.{layer_index}.bias")[rows]
            projected = state @ self.weight(f"crit.out_projs.{cluster}") if projects else state
            if cluster_rows:
                weight, bias = np.concatenate([weight, cluster_rows[0]]), np.concatenate([bias, cluster_rows[1]])
            return log_softmax(weight @ projected + bias)

        cluster_rows = (self.weight("crit.cluster_weight"),
                        self.weight("crit.cluster_bias")) if len(self.clusters) > 1 else None
        head = scores(0, cluster_rows)
        log_probabilities = list(head[:head_size])
        for cluster in range(1, len(self.clusters)):
            log_probabilities += list(head[head_size + cluster - 1] + scores(cluster))
        return np.array(log_probabilities)
