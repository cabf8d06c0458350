"""LoRA files with one fault in their numbers."""


def nan_in_lora(place, number):
    tensors = place.attention_lora()
    tensors[min(tensors)][0, 0] = float(number)
    return {"lora": place.lora("lora.safetensors", tensors)}
