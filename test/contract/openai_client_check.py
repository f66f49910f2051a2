"""Calls a running gateway with the real openai client, sync and async, and prints what it saw as one JSON object.

Usage: openai_client_check.py BASE_URL; the key comes in SLUICE_KEY. The model server behind it answers by the value of `user`.
"""

import asyncio
import json
import os
import sys

import openai

base = f"{sys.argv[1]}/v1"
key = os.environ["SLUICE_KEY"]
client = openai.OpenAI(api_key=key, base_url=base, max_retries=0)
messages = [{"role": "user", "content": "Grüße, 谢谢 \U0001f642"}]
seen = {}

seen["models"] = [model.id for model in client.models.list()]

raw = client.chat.completions.with_raw_response.create(model="chat", messages=messages)
chat = raw.parse()
seen["chat"] = [chat.model, chat.choices[0].message.content, chat.usage.total_tokens]
seen["request_id"] = raw.headers["x-request-id"] == raw.headers["sluice-request-id"] == chat._request_id
seen["version"] = raw.headers["sluice-model-version"]

chunks = list(
    client.chat.completions.create(
        model="chat", messages=messages, stream=True, stream_options={"include_usage": True}
    )
)
seen["stream"] = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
seen["stream_usage"] = chunks[-1].usage.completion_tokens
seen["stream_models"] = sorted({chunk.model for chunk in chunks})

with client.chat.completions.stream(model="chat", messages=messages) as stream:
    for event in stream:
        pass
    seen["stream_helper"] = stream.get_final_completion().choices[0].message.content

vectors = client.embeddings.create(model="vectors", input=["a", "b"])
seen["embeddings"] = [entry.embedding for entry in vectors.data]

tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
called = client.chat.completions.create(model="chat", messages=messages, tools=[tool], user="calls")
seen["tool_call"] = called.choices[0].message.tool_calls[0].function.name

response = client.responses.create(model="chat", input="hi", instructions="Be kind.")
seen["response"] = [response.output_text, response.status, response.usage.input_tokens]
events = list(client.responses.create(model="chat", input="hi", stream=True))
seen["response_events"] = [event.type for event in events]
seen["response_numbers"] = [event.sequence_number for event in events] == list(range(len(events)))
with client.responses.stream(model="chat", input="hi") as stream:
    for event in stream:
        pass
    seen["response_helper"] = stream.get_final_response().output_text


def failure(**changes):
    try:
        client.chat.completions.create(**{"model": "chat", "messages": messages, **changes})
    except openai.APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, error.param]
    return "nothing was refused"


seen["errors"] = {
    "model": failure(model="nobody"),
    "value": failure(temperature=3),
    "schema": failure(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "x"}}}]),
    "busy": failure(user="busy"),
    "broken": failure(user="broken"),
}
try:
    openai.OpenAI(api_key="sk-wrong", base_url=base, max_retries=0).models.list()
except openai.AuthenticationError as error:
    seen["errors"]["key"] = [type(error).__name__, error.status_code, error.code, error.param]

retrying = client.with_options(max_retries=2).chat.completions.create(model="chat", messages=messages, user="busy-once")
seen["retried"] = retrying.choices[0].message.content

try:
    for chunk in client.chat.completions.create(model="chat", messages=messages, stream=True, user="dies"):
        seen["before_death"] = chunk.choices[0].delta.content
    seen["death"] = "a silent end"
except openai.APIError as error:
    seen["death"] = error.code

slow = client.chat.completions.create(model="chat", messages=messages, stream=True, user="endless")
seen["slow"] = next(iter(slow)).choices[0].delta.content
slow.close()


async def several():
    async with openai.AsyncOpenAI(api_key=key, base_url=base, max_retries=0) as many:

        async def words(number):
            text = ""
            async for chunk in await many.chat.completions.create(model="chat", messages=messages, stream=True):
                text += chunk.choices[0].delta.content or ""
            return text

        seen["async"] = sorted(set(await asyncio.gather(*(words(number) for number in range(20)))))
        cancelled = asyncio.create_task(many.chat.completions.create(model="chat", messages=messages, user="silent"))
        await asyncio.sleep(0.5)
        cancelled.cancel()
        try:
            await cancelled
            seen["cancelled"] = False
        except asyncio.CancelledError:
            seen["cancelled"] = True


asyncio.run(several())
print(json.dumps(seen))
